"""What a model is asked to do: the kind of answer that it gives, and whether it reads pairs of texts."""
