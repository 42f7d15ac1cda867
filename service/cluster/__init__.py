"""One API over many machines: PostgreSQL says who may run what, agents run it, Ray carries what they say."""
