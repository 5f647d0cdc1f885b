"""The layouts of labelled images written by people and programs, each read into the same :class:`Scan`."""
