"""Ways out of an algorithm's container, each tried in a process of its own.

Every attempt prints one line of JSON: its name, the wall that has to stop it, whether it got through, and what stopped it. An
attempt gets through if its function returns; it is stopped by an exception, a signal, or silence.

Told by the environment: NODE (an address of the node with its kubelet), PEER (another pod, which listens on 7777), ABSTRACT (the
name of an abstract socket outside the pod), WAYS (run only these; all if absent). Linux on x86-64.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import threading
import time

PATIENCE = 4  # seconds; a packet that nobody answers is stopped
WAYS = []
libc = ctypes.CDLL(None, use_errno=True)


def way(wall):
    def add(function):
        WAYS.append((function.__name__, wall, function))
        return function

    return add


def call(number, *arguments):
    """A system call by its number; an error is raised."""
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def must(condition, why):
    if not condition:
        raise OSError(errno.EPERM, why)


def connect(address, port, kind=socket.SOCK_STREAM):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as s:
        s.settimeout(PATIENCE - 1)
        s.connect((address, port))
        if kind == socket.SOCK_DGRAM:
            s.send(b"\x54\x57\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01")
            s.recv(512)


# The guard's filter: sockets of every family

FAMILIES = {
    "inet_tcp": (2, 1, 0), "inet_udp": (2, 2, 0), "inet_ping": (2, 2, 1), "inet_mptcp": (2, 1, 262), "inet_sctp": (2, 1, 132),
    "inet6_tcp": (10, 1, 0), "inet6_udp": (10, 2, 0), "unspecified": (0, 1, 0), "raw": (2, 3, 1), "packet": (17, 3, 0x300),
    "netlink": (16, 3, 0), "vsock": (40, 1, 0), "bluetooth": (31, 5, 0), "crypto": (38, 5, 0), "can": (29, 3, 1),
    "express_data_path": (44, 3, 0), "tipc": (30, 1, 0), "smc": (43, 1, 0), "key": (15, 3, 2), "x25": (9, 5, 0),
}


def add_family(name, arguments):
    def open_socket():
        socket.socket(*arguments).close()

    open_socket.__name__ = "socket_" + name
    way("filter")(open_socket)


for name, arguments in FAMILIES.items():
    add_family(name, arguments)


@way("filter")
def socketpair_inet():
    pair = (ctypes.c_int * 2)()
    call(53, 2, 1, 0, pair)


@way("filter")
def socketpair_tipc():
    pair = (ctypes.c_int * 2)()
    call(53, 30, 1, 0, pair)


@way("filter")
def socket_with_high_bits_set():
    # the kernel takes an int: bits above it must not make the filter look away
    call(41, ctypes.c_ulong(0xFFFFFFFF00000002), 1, 0)


@way("filter")
def io_uring_setup():
    parameters = ctypes.create_string_buffer(120)
    call(425, 8, parameters)


@way("filter")
def io_uring_enter():
    # with a descriptor that is none of its own, so EBADF would be the kernel's answer
    try:
        call(426, 0, 0, 0, 0, None, 0)
    except OSError as error:
        must(error.errno != errno.ENOSYS, "io_uring_enter is missing")


@way("filter")
def io_uring_register():
    try:
        call(427, 0, 0, None, 0)
    except OSError as error:
        must(error.errno != errno.ENOSYS, "io_uring_register is missing")


def machine_code(code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()


@way("filter")
def i386_socket():
    # push rbx; eax=359 (socket); ebx=2; ecx=1; edx=0; int 0x80; pop rbx; ret
    code = b"\x53\xb8\x67\x01\x00\x00\xbb\x02\x00\x00\x00\xb9\x01\x00\x00\x00\x31\xd2\xcd\x80\x5b\xc3"
    must(machine_code(code) >= 0, "int 0x80 failed")


@way("filter")
def i386_getpid():
    # push rbx; eax=20 (getpid); int 0x80; pop rbx; ret: no 32-bit call at all
    must(machine_code(b"\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3") > 0, "int 0x80 failed")


@way("filter")
def x32_socket():
    call(0x40000000 | 41, 2, 1, 0)


@way("filter")
def socket_of_a_child():
    child = os.fork()
    if child == 0:
        try:
            socket.socket(socket.AF_INET)
            os._exit(0)
        except OSError:
            os._exit(1)
    must(os.waitpid(child, 0)[1] == 0, "the child was refused")


@way("filter")
def socket_of_a_thread():
    results = []

    def attempt():
        try:
            results.append(socket.socket(socket.AF_INET))
        except OSError as error:
            results.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    if isinstance(results[0], OSError):
        raise results[0]


@way("filter")
def socket_of_a_program_in_memory():
    # a copy of the interpreter that no mount option of any volume touches
    memory = os.memfd_create("program", 0)
    with open("/proc/self/exe", "rb") as program:
        os.write(memory, program.read())
    child = os.fork()
    if child == 0:
        script = "import socket; socket.socket(socket.AF_INET)"
        os.close(2)
        os.execve(f"/proc/self/fd/{memory}", ["python3", "-IS", "-c", script], {})
    must(os.waitpid(child, 0)[1] == 0, "the program was refused")


@way("filter")
def filter_taken_off():
    # PR_SET_SECCOMP with mode 0, then the socket
    libc.prctl(22, 0, 0, 0, 0)
    socket.socket(socket.AF_INET).close()


# Destinations: by the filter, and by the cluster's policies where the filter is off


@way("network")
def api_server():
    connect(os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"]))


@way("network")
def kubelet_of_the_node():
    connect(os.environ["NODE"], 10250)


@way("network")
def another_pod():
    connect(os.environ["PEER"], 7777)


@way("network")
def name_server_by_tcp():
    connect(os.environ["NODE"], int(os.environ["TCP_DNS"]))


@way("network")
def name_server_by_udp():
    connect(os.environ["NODE"], int(os.environ["UDP_DNS"]), socket.SOCK_DGRAM)


@way("container")
def metadata_address():
    connect("169.254.169.254", 80)


@way("container")
def internet_by_ipv6():
    connect("2001:4860:4860::8888", 53)


# Sockets of others that need no network


@way("namespaces")
def abstract_socket_of_the_node():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("\0" + os.environ["ABSTRACT"])


@way("container")
def sockets_of_the_runtime():
    for path in ("/run/containerd/containerd.sock", "/var/run/docker.sock", "/run/crio/crio.sock", "/var/lib/kubelet/pod-resources/kubelet.sock"):
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(path)
                return
            except OSError:
                pass
    raise OSError(errno.ENOENT, "there is none")


# Privileges


@way("container")
def become_root():
    os.setuid(0)


@way("container")
def become_another_user():
    os.setresuid(10000, 10000, 10000)


@way("container")
def join_another_group():
    os.setgroups([0])


@way("container")
def new_user_namespace():
    call(272, 0x10000000)  # unshare(CLONE_NEWUSER)


@way("container")
def new_network_namespace():
    call(272, 0x40000000)


@way("container")
def mount_something():
    must(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0, os.strerror(ctypes.get_errno()))


@way("container")
def remount_inputs_writable():
    must(libc.mount(b"none", b"/data/inputs", None, 32 | 4096, None) == 0, os.strerror(ctypes.get_errno()))


@way("container")
def make_a_device():
    os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0))


@way("container")
def load_a_kernel_module():
    call(175, None, 0, b"")


@way("container")
def load_a_kernel_program():
    call(321, 0, ctypes.create_string_buffer(128), 128)


@way("container")
def read_the_kernel_ring():
    call(103, 3, ctypes.create_string_buffer(64), 64)


@way("container")
def file_by_handle():
    call(304, 3, ctypes.create_string_buffer(128), 0)


# The guard itself: same user, first process


@way("guard")
def trace_the_guard():
    must(libc.ptrace(16, 1, None, None) == 0, os.strerror(ctypes.get_errno()))  # PTRACE_ATTACH


@way("guard")
def memory_of_the_guard():
    open("/proc/1/mem", "r+b").close()


@way("guard")
def descriptors_of_the_guard():
    must(os.listdir("/proc/1/fd"), "none")


@way("guard")
def steal_a_descriptor_of_the_guard():
    guard = call(434, 1, 0)  # pidfd_open
    call(438, guard, 1, 0)  # pidfd_getfd


@way("guard")
def read_memory_of_the_guard():
    local = ctypes.create_string_buffer(8)
    span = (ctypes.c_ulong * 2)(ctypes.addressof(local), 8)
    remote = (ctypes.c_ulong * 2)(0x400000, 8)
    call(310, 1, span, 1, remote, 1, 0)


@way("guard")
def kill_the_guard():
    os.kill(1, signal.SIGKILL)
    time.sleep(0.2)
    with open("/proc/1/stat") as status:
        must(status.read().split(") ")[1][0] in "ZX", "it lives")


@way("guard")
def stop_the_guard():
    os.kill(1, signal.SIGSTOP)
    time.sleep(0.2)
    with open("/proc/1/stat") as status:
        must(status.read().split(") ")[1][0] == "T", "it goes on")


# What it may not write


def overwrite(path):
    with open(path, "ab") as file:
        file.write(b"lies")


@way("inputs")
def write_an_input():
    directory = os.path.join("/data/inputs", os.listdir("/data/inputs")[0])
    path = os.path.join(directory, "0")
    os.chmod(path, 0o600)
    overwrite(path)


@way("inputs")
def add_an_input():
    os.chmod("/data/inputs", 0o700)
    open("/data/inputs/new", "w").close()


@way("container")
def change_the_algorithm():
    os.chmod("/data/transformations/algorithm", 0o700)
    overwrite("/data/transformations/algorithm")


@way("record")
def write_the_record():
    overwrite("/data/record/log")


@way("record")
def read_the_record():
    open("/data/record/log", "rb").close()


@way("record")
def fake_the_ending():
    with open("/data/record/ending.json", "w") as file:
        file.write('{"stage": "algorithm", "exitCode": 0, "isolation": "proven"}')


@way("record")
def fake_the_control():
    with open("/data/record/network.json", "w") as file:
        file.write("[]")


@way("record")
def speak_by_the_termination_message():
    with open("/dev/termination-log", "w") as file:
        file.write("canary")


@way("container")
def replace_the_guard():
    os.rename("/tool/guard", "/tool/old")


@way("container")
def replace_the_targets():
    with open("/tool/targets.json", "w") as file:
        file.write("[]")


@way("container")
def write_beside_the_data():
    open("/data/new", "w").close()


@way("container")
def write_the_root():
    open("/etc/new", "w").close()


@way("container")
def write_own_limits():
    with open("/sys/fs/cgroup/cgroup.procs", "w") as file:
        file.write("1")


# What it may not read


@way("token")
def service_account_token():
    open("/var/run/secrets/kubernetes.io/serviceaccount/token").close()


@way("container")
def secrets_of_other_stages():
    for path in ("/plan/configure.json", "/secrets/results"):
        if os.path.exists(path):
            return
    raise OSError(errno.ENOENT, "there are none")


@way("container")
def data_of_other_jobs():
    for path in ("/var/lib/kubelet/pods", "/proc/1/root/var/lib/kubelet", "/data/../var/lib/containerd"):
        if os.path.exists(path):
            return
    raise OSError(errno.ENOENT, "there is none")


@way("container")
def processes_of_others():
    own = {"python3", "sh", "guard"}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{pid}/comm") as name:
            if name.read().strip() not in own:
                return
    raise OSError(errno.ESRCH, "there are none")


# What it may not use


@way("limits")
def raise_the_number_of_processes():
    resource.setrlimit(resource.RLIMIT_NPROC, (100_000, 100_000))


@way("limits")
def raise_the_size_of_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@way("limits")
def dump_core():
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))


@way("limits")
def sparse_terabyte():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open("/data/outputs/terabyte", "wb") as file:
        try:
            os.truncate(file.fileno(), 1 << 40)
        finally:
            os.remove("/data/outputs/terabyte")


@way("limits")
def five_thousand_threads():
    signal.alarm(120)  # to be stopped by the limit, and not by being slow
    threading.stack_size(32 * 1024)
    end = threading.Event()
    started = 0
    try:
        while started < 5000:
            threading.Thread(target=end.wait, daemon=True).start()
            started += 1
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, f"{started} threads and no more") from error
    finally:
        end.set()


def start(function):
    """Tries it in a child, which says on a pipe what stopped it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.alarm(PATIENCE)
        try:
            function()
            os.write(writer, b"got through")
            os._exit(0)
        except BaseException as error:  # whatever it is, it was stopped
            os.write(writer, repr(error).encode()[:200])
            os._exit(1)
    os.close(writer)
    return child, reader


def finish(child, reader):
    """Answers whether it got through, and what stopped it."""
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        said = "signal %d" % os.WTERMSIG(status)
    return status == 0, said


def plant():
    """What publish has to step around."""
    outputs = "/data/outputs"
    os.symlink("/etc/passwd", f"{outputs}/link")
    os.symlink("/data/inputs", f"{outputs}/directory")
    os.symlink("..", f"{outputs}/up")
    os.mkfifo(f"{outputs}/pipe")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f"{outputs}/socket")
    open(f"{outputs}".encode() + b"/not-\xff-text", "w").close()
    os.makedirs(f"{outputs}/" + "/".join(["deep"] * 60))
    os.truncate(os.open(f"{outputs}/sparse", os.O_CREAT | os.O_WRONLY), 20 << 20)
    with open(f"{outputs}/a-result", "w") as file:
        file.write("fine")
    for number in range(2000):
        open(f"{outputs}/deep/{number}", "w").close()


def main():
    chosen = os.environ.get("WAYS")
    ways = [way for way in WAYS if chosen is None or way[1] in chosen.split(",")]
    # what waits for the network waits together; everything else has the container to itself
    waiting = {name: start(function) for name, wall, function in ways if wall == "network"}
    for name, wall, function in ways:
        through, stopped_by = finish(*(waiting.get(name) or start(function)))
        print(json.dumps({"way": name, "wall": wall, "through": through, "by": stopped_by}), flush=True)
    if os.environ.get("PLANT"):
        plant()


main()
