"""Try a model on a core device beside the one in charge."""
