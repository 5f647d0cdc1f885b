"""The domain of Fieldguide: data, graphs, learning, evaluation and explanation of image classifiers.

Independent of Prefect, Streamlit and the command line.
"""

from workflows.environment import prepare

prepare()
