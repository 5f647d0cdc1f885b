"""The networks that can be trained: a `Backbone` says all that the rest of the program asks about one."""
