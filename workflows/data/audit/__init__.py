"""Audits: problems of a data set, found before training, and how to fix them."""
