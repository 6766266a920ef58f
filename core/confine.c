/* confine.c: a seccomp filter that keeps a worker from running programs and from reaching into other processes. */
#include "confine.h"
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* Should a tenant's script ever break out of its VM, it must not be able to start a program, to read or write another
   process's memory, to change the kernel, or to step into another namespace. */
static const int DENIED[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(memfd_create),
    SCMP_SYS(memfd_secret),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(bpf),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(personality),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(setuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setregid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresgid),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
};

static int deny_calls(scmp_filter_ctx filter) {
    for (size_t i = 0; i < sizeof(DENIED) / sizeof(*DENIED); i++) {
        int err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), DENIED[i], 0);
        if (err) return err;
    }
    return 0;
}

/* LuaJIT writes a trace into a mapping and then turns it executable with mprotect, and libraries (libcurl, lua-cjson)
   are opened when a script first asks for them, so executable memory cannot be denied whole. What can be is memory that
   is writable and executable at once. */
static int deny_executable_memory(scmp_filter_ctx filter) {
    const scmp_datum_t both = PROT_WRITE | PROT_EXEC;
    int err = 0;
    const int changes[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(pkey_mprotect)};
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes) && !err; i++) {
        err = seccomp_rule_add(
            filter, SCMP_ACT_ERRNO(EPERM), changes[i], 1, SCMP_A2(SCMP_CMP_MASKED_EQ, both, both));
    }
    return err;
}

/* A file gets no execute bit, neither when it is made nor later. */
static int deny_executable_files(scmp_filter_ctx filter) {
    const scmp_datum_t bits[] = {S_IXUSR, S_IXGRP, S_IXOTH, S_ISUID, S_ISGID};
    int err = 0;
    for (size_t i = 0; i < sizeof(bits) / sizeof(*bits) && !err; i++) {
        const scmp_datum_t x = bits[i];
        err = seccomp_rule_add(
            filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(chmod), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, x, x));
        if (!err) {
            err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fchmod), 1,
                SCMP_A1(SCMP_CMP_MASKED_EQ, x, x));
        }
        if (!err) {
            err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fchmodat), 1,
                SCMP_A2(SCMP_CMP_MASKED_EQ, x, x));
        }
        if (!err) {
            err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 2,
                SCMP_A2(SCMP_CMP_MASKED_EQ, O_CREAT, O_CREAT), SCMP_A3(SCMP_CMP_MASKED_EQ, x, x));
        }
        if (!err) {
            err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 2,
                SCMP_A1(SCMP_CMP_MASKED_EQ, O_CREAT, O_CREAT), SCMP_A2(SCMP_CMP_MASKED_EQ, x, x));
        }
    }
    return err;
}

int confine_worker(void) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter) return -ENOMEM;
    int err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!err) err = deny_calls(filter);
    if (!err) err = deny_executable_memory(filter);
    if (!err) err = deny_executable_files(filter);
    if (!err) err = seccomp_load(filter);
    seccomp_release(filter);
    return err;
}
