//! The system-call filter: what keeps an algorithm off the network where nothing else does.
//!
//! Two programs, since one program answers one error number. The kernel runs both and takes the sterner answer.
//! - Sockets: `socket` and `socketpair` for anything but `AF_UNIX` fail with EACCES. Every other way to an internet socket goes
//!   through these two, through io_uring, or through the system calls of another ABI.
//! - io_uring can open sockets without the system call, so its three calls fail with ENOSYS, which libraries take for an old
//!   kernel and work around.
//!
//! Calls of another architecture end the process: `seccompiler` prepends that check to every program. The x32 ABI shares x86-64's
//! architecture number and sets bit 30 of the system call's number (`__X32_SYSCALL_BIT` in the kernel's `asm/unistd.h`), so it
//! would pass a filter that compares numbers: a check of our own comes first.

use std::collections::BTreeMap;

use rustix::net::AddressFamily;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};

/// Numbers of system calls: `arch/x86/entry/syscalls/syscall_64.tbl` of the kernel.
#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const SOCKET: i64 = 41;
    pub(super) const SOCKETPAIR: i64 = 53;
}

/// Numbers of system calls: `include/uapi/asm-generic/unistd.h` of the kernel.
#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const SOCKET: i64 = 198;
    pub(super) const SOCKETPAIR: i64 = 199;
}

/// `io_uring_setup`, `io_uring_enter` and `io_uring_register`: the same on every architecture.
const IO_URING: [i64; 3] = [425, 426, 427];

/// Errors of `asm-generic/errno-base.h` and `errno.h`.
const EACCES: u32 = 13;
const ENOSYS: u32 = 38;

/// First number that is no system call of this ABI.
const FIRST_FOREIGN_NUMBER: u32 = 0x4000_0000;

/// The programs to apply, in any order.
///
/// # Errors
/// None on the architectures that this module knows; the error is the compiler's.
pub(super) fn programs(allow_network: bool) -> Result<Vec<BpfProgram>, Error> {
    let mut programs = vec![program(
        IO_URING.map(|number| (number, Vec::new())).into(),
        ENOSYS,
    )?];
    if !allow_network {
        let local_only = [number::SOCKET, number::SOCKETPAIR];
        let rules = local_only
            .into_iter()
            .map(|number| Ok((number, vec![not_local()?])))
            .collect::<Result<_, Error>>()?;
        programs.push(program(rules, EACCES)?);
    }
    Ok(programs)
}

/// Matches when the first argument, a 32-bit int, is another family than `AF_UNIX`.
fn not_local() -> Result<SeccompRule, Error> {
    let family = u64::from(AddressFamily::UNIX.as_raw());
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, error: u32) -> Result<BpfProgram, Error> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(error),
        architecture,
    )?;
    let mut program = refuse_foreign_numbers();
    program.extend(BpfProgram::try_from(filter)?);
    Ok(program)
}

/// Load the number (offset 0 of `struct seccomp_data`); when it is not below the bound, end the process.
///
/// Operation codes are those of `linux/bpf_common.h`, the answer is `SECCOMP_RET_KILL_PROCESS` of `linux/seccomp.h`.
fn refuse_foreign_numbers() -> BpfProgram {
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        step(LOAD_WORD, 0, 0, 0),
        step(JUMP_IF_NOT_BELOW, 0, 1, FIRST_FOREIGN_NUMBER),
        step(RETURN, 0, 0, KILL_PROCESS),
    ]
}

const LOAD_WORD: u16 = 0x20;
const JUMP_IF_NOT_BELOW: u16 = 0x35;
const RETURN: u16 = 0x06;
const KILL_PROCESS: u32 = 0x8000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    #[cfg(target_arch = "x86_64")]
    const ARCHITECTURE: u32 = 0xc000_003e;
    #[cfg(target_arch = "aarch64")]
    const ARCHITECTURE: u32 = 0xc000_00b7;
    const I386: u32 = 0x4000_0003;

    /// `struct seccomp_data` as 32-bit words: number, architecture, instruction pointer, six arguments.
    fn call(number: u32, architecture: u32, first: u32) -> [u32; 16] {
        let mut data = [0; 16];
        data[0] = number;
        data[1] = architecture;
        data[4] = first;
        data
    }

    /// What the kernel's interpreter answers, for the operations that these programs use.
    fn interpret(program: &BpfProgram, data: &[u32; 16]) -> u32 {
        let (mut at, mut word) = (0, 0);
        loop {
            let step = &program[at];
            at += 1;
            let choose = |holds: bool| usize::from(if holds { step.jt } else { step.jf });
            match step.code {
                LOAD_WORD => word = data[step.k as usize / 4],
                0x05 => at += step.k as usize,
                0x15 => at += choose(word == step.k),
                0x25 => at += choose(word > step.k),
                JUMP_IF_NOT_BELOW => at += choose(word >= step.k),
                0x54 => word &= step.k,
                RETURN => return step.k,
                code => panic!("operation {code:#x}"),
            }
        }
    }

    /// The sternest answer of all programs, as the kernel takes it: the lowest action, as a signed number.
    fn answer(allow_network: bool, data: [u32; 16]) -> u32 {
        programs(allow_network)
            .unwrap()
            .iter()
            .map(|program| interpret(program, &data))
            .min_by_key(|answer| answer.cast_signed())
            .unwrap()
    }

    #[test]
    fn only_local_sockets_can_be_made() {
        for number in [number::SOCKET, number::SOCKETPAIR] {
            let number = u32::try_from(number).unwrap();
            assert_eq!(answer(false, call(number, ARCHITECTURE, 1)), ALLOW);
            for family in [0, 2, 10, 16, 17, 40, u32::MAX] {
                let data = call(number, ARCHITECTURE, family);
                assert_eq!(answer(false, data), ERRNO | EACCES, "family {family}");
                assert_eq!(answer(true, data), ALLOW, "family {family}");
            }
        }
    }

    #[test]
    fn io_uring_is_missing_whatever_the_network_is() {
        for number in IO_URING {
            let data = call(u32::try_from(number).unwrap(), ARCHITECTURE, 0);
            assert_eq!(answer(false, data), ERRNO | ENOSYS);
            assert_eq!(answer(true, data), ERRNO | ENOSYS);
        }
    }

    #[test]
    fn calls_of_another_abi_end_the_process() {
        let socket = u32::try_from(number::SOCKET).unwrap();
        for allow_network in [false, true] {
            let x32 = call(FIRST_FOREIGN_NUMBER | socket, ARCHITECTURE, 2);
            assert_eq!(answer(allow_network, x32), KILL_PROCESS);
            assert_eq!(answer(allow_network, call(102, I386, 1)), KILL_PROCESS);
        }
    }

    #[test]
    fn everything_else_is_left_alone() {
        assert_eq!(answer(false, call(0, ARCHITECTURE, 2)), ALLOW);
        assert_eq!(answer(false, call(59, ARCHITECTURE, 2)), ALLOW);
    }
}
