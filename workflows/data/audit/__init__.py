"""Audits: what is wrong with a data set before anything is trained on it, and how to mend it."""
