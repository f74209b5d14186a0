"""Training, evaluation and publication of the networks: Keras 3, on any backend."""
