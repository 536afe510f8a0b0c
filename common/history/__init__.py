"""What did happen: the records of a run, merged and measured."""

import os

# Before numpy is first imported: its BLAS would start threads, and the launcher forks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
