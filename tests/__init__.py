"""The tests mirror the packages.

Libraries read where to keep their settings once, when they are imported: so that tests never touch the settings of
the person who runs them, these are moved away before anything of Fieldguide is imported.
"""

import atexit
import os
import shutil
import tempfile

for _name in ("PREFECT_HOME", "PREFECT_API_URL", "YOLO_CONFIG_DIR", "FIELDGUIDE_WEIGHTS", "FIELDGUIDE_DATABASE_URL"):
    os.environ.pop(_name, None)
os.environ["FIELDGUIDE_HOME"] = tempfile.mkdtemp(prefix="fieldguide-tests-")
atexit.register(shutil.rmtree, os.environ["FIELDGUIDE_HOME"], ignore_errors=True)
