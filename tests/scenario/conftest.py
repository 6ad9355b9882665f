import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

from plugin import *  # noqa: E402,F401,F403  fixtures and hooks
