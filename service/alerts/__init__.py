"""When somebody is told: rules over the message log, what they remember, the incidents that they make."""
