"""The domain of Fieldguide: data, graphs, learning, evaluation and explanation of image classifiers.

Knows nothing of Prefect, Streamlit or the command line.
"""

from workflows.environment import prepare

prepare()
