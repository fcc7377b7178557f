"""Read and write bytes: bounded, strict and durable."""
