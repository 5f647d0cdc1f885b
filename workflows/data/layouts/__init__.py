"""The ways in which people and programs lay out labelled images, each read into the same :class:`Scan`."""
