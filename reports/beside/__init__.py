"""Several runs of one suite side by side: the first is the reference, to which the others stand as machines allow."""

from reports.beside.beside import Beside, beside

__all__ = ["Beside", "beside"]
