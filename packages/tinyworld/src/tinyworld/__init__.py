"""A fictional world and the language models that have read about it: the paper's setting in miniature."""
