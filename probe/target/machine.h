/*
 * The few machine instructions that probe points are judged by, and where registers stand in struct
 * pt_regs. All that depends on the architecture is here. Silent.
 */
#ifndef PROBE_TARGET_MACHINE_H
#define PROBE_TARGET_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum machine_register { /* in the order of the instruction set's numbers */
	MACHINE_AX,
	MACHINE_CX,
	MACHINE_DX,
	MACHINE_BX,
	MACHINE_SP,
	MACHINE_BP,
	MACHINE_SI,
	MACHINE_DI,
	MACHINE_R8,
	MACHINE_R9,
	MACHINE_R10,
	MACHINE_R11,
	MACHINE_R12,
	MACHINE_R13,
	MACHINE_R14,
	MACHINE_R15,
	MACHINE_REGISTERS
};

/* Offset in struct pt_regs (arch/x86/include/asm/ptrace.h). */
uint16_t machine_register_offset(enum machine_register reg);
/* "%rax", "%eax", "%al", "%r8d", ...; -EINVAL: none of that name. */
int machine_register_parse(const char *name, size_t n, enum machine_register *ret);
/* The register of the n-th integer argument of a call, from 0. */
enum machine_register machine_argument(unsigned int n);
/* Whether a called function leaves it as it was. */
bool machine_is_preserved(enum machine_register reg);

/*
 * Length of an instruction that only moves or computes and goes on to the next one; 0: not one that
 * is known. ret_written: a bit for each register it changes.
 */
size_t machine_plain(const unsigned char *code, size_t n, uint32_t *ret_written);
/* Whether the kernel emulates it under a uprobe instead of stepping it. */
bool machine_is_emulated(const unsigned char *code, size_t n);
/* Length of a direct call or jump out at `address`, and where it goes; 0: another instruction. */
size_t machine_call(
	const unsigned char *code, size_t n, uint64_t address, uint64_t *ret_to, bool *ret_jump);
/* Length of a call or jump through a word in memory, and where the word stands; 0: another one. */
size_t machine_indirect(const unsigned char *code, size_t n, uint64_t address, uint64_t *ret_word);
/* Bytes that may stand before the jump of a PLT stub. */
size_t machine_stub_prefix(const unsigned char *code, size_t n);
/*
 * Before a call that ends at `end`: the register that was moved into `argument` for it. -ENOENT: it
 * cannot be told.
 */
int machine_moved_from(const unsigned char *begin, const unsigned char *end,
	enum machine_register argument, enum machine_register *ret);

#endif
