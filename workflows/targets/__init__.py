"""What a label is: its numbers, loss, probabilities, calibration, metrics and tables; a folder for each kind of target.

`base.Target` is what the rest of the program knows of it, `registry` names those that there are, `metrics` holds the
names of all metrics and the words for them. Nothing here needs PyTorch before a loss is made.
"""
