"""The threads of the AWS client library, on which its callbacks come."""

import ctypes
import threading

_of_this_thread = threading.local()


def keep_thread_state() -> None:
    """Have CPython keep its state of the calling thread, which the library has made, until the thread ends.

    Otherwise it makes one for each callback and takes it down again: half the processor time of an acknowledgement. The
    library balances `PyGILState_Ensure` and `PyGILState_Release` at each callback; one `Ensure` more keeps the state
    (https://docs.python.org/3.11/c-api/init.html#non-python-created-threads).
    """
    if not hasattr(_of_this_thread, "kept"):
        ctypes.pythonapi.PyGILState_Ensure()
        _of_this_thread.kept = True
