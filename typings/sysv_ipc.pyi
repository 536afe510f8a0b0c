from typing_extensions import Buffer

VERSION: str
PAGE_SIZE: int
KEY_MIN: int
KEY_MAX: int
SEMAPHORE_VALUE_MAX: int
SEMAPHORE_TIMEOUT_SUPPORTED: bool
IPC_CREAT: int
IPC_EXCL: int
IPC_CREX: int
IPC_PRIVATE: int
SHM_RND: int
SHM_HUGETLB: int
SHM_NORESERVE: int
SHM_REMAP: int
SHM_RDONLY: int

class Error(Exception): ...
class InternalError(Error): ...
class PermissionsError(Error): ...
class ExistentialError(Error): ...
class BusyError(Error): ...
class NotAttachedError(Error): ...

class Semaphore:
    def __init__(
        self, key: int | None, flags: int = 0, mode: int = 0o600, initial_value: int = 0
    ) -> None: ...
    def acquire(self, timeout: float | None = None, delta: int = 1) -> None: ...
    def release(self, delta: int = 1) -> None: ...
    def P(self, timeout: float | None = None, delta: int = 1) -> None: ...  # noqa: N802
    def V(self, delta: int = 1) -> None: ...  # noqa: N802
    def Z(self, timeout: float | None = None) -> None: ...  # noqa: N802
    def remove(self) -> None: ...
    key: int
    id: int
    value: int
    undo: bool
    block: bool
    mode: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    last_pid: int
    waiting_for_nonzero: int
    waiting_for_zero: int
    o_time: int

class SharedMemory(Buffer):
    def __init__(
        self,
        key: int | None,
        flags: int = 0,
        mode: int = 0o600,
        size: int = 0,
        init_character: bytes = b" ",
    ) -> None: ...
    def attach(self, address: int | None = None, flags: int = 0) -> None: ...
    def detach(self) -> None: ...
    def read(self, byte_count: int = 0, offset: int = 0) -> bytes: ...
    def write(self, s: bytes, offset: int = 0) -> None: ...
    def remove(self) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    key: int
    id: int
    size: int
    address: int
    attached: bool
    last_attach_time: int
    last_detach_time: int
    last_change_time: int
    creator_pid: int
    last_pid: int
    number_attached: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    mode: int

class MessageQueue:
    def __init__(
        self, key: int | None, flags: int = 0, mode: int = 0o600, max_message_size: int = 2048
    ) -> None: ...
    def send(self, message: bytes | str, block: bool = True, type: int = 1) -> None: ...
    def receive(self, block: bool = True, type: int = 0) -> tuple[bytes, int]: ...
    def remove(self) -> None: ...
    key: int
    id: int
    max_size: int
    last_send_time: int
    last_receive_time: int
    last_change_time: int
    last_send_pid: int
    last_receive_pid: int
    current_messages: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    mode: int

def attach(id: int, address: int | None = None, flags: int = 0) -> SharedMemory: ...
def ftok(path: str, id: int, silence_warning: bool = False) -> int: ...
def remove_semaphore(id: int) -> None: ...
def remove_shared_memory(id: int) -> None: ...
def remove_message_queue(id: int) -> None: ...
