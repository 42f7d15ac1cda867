"""Falls in whole videos: what the pipeline sees is recorded once, and any output layer is judged on it afterwards."""
