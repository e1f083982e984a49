/*
 * x86-64: what is known of an instruction is what arch/x86/kernel/uprobes.c@6.1 asks and what GCC
 * and clang put around calls. Anything else is "not known". See machine.h.
 */
#include "probe/target/machine.h"

#include <errno.h>
#include <string.h>
#include <sys/user.h>

#define REX_R 4u
#define REX_B 1u

#define AT(name) (uint16_t) offsetof(struct user_regs_struct, name)

uint16_t machine_register_offset(enum machine_register reg)
{
	/* struct user_regs_struct begins as pt_regs does */
	static const uint16_t offsets[MACHINE_REGISTERS] = {
		AT(rax),
		AT(rcx),
		AT(rdx),
		AT(rbx),
		AT(rsp),
		AT(rbp),
		AT(rsi),
		AT(rdi),
		AT(r8),
		AT(r9),
		AT(r10),
		AT(r11),
		AT(r12),
		AT(r13),
		AT(r14),
		AT(r15),
	};

	return offsets[reg];
}

int machine_register_parse(const char *name, size_t n, enum machine_register *ret)
{
	static const char *const names[8][4] = {
		{"rax", "eax", "ax", "al"},
		{"rcx", "ecx", "cx", "cl"},
		{"rdx", "edx", "dx", "dl"},
		{"rbx", "ebx", "bx", "bl"},
		{"rsp", "esp", "sp", "spl"},
		{"rbp", "ebp", "bp", "bpl"},
		{"rsi", "esi", "si", "sil"},
		{"rdi", "edi", "di", "dil"},
	};
	unsigned int number = 0;
	size_t i = 2;

	if (n < 3 || n > 5 || *name != '%')
		return -EINVAL;
	for (unsigned int r = 0; r < 8; r++)
		for (unsigned int k = 0; k < 4; k++)
			if (strlen(names[r][k]) == n - 1 && !memcmp(name + 1, names[r][k], n - 1)) {
				*ret = (enum machine_register)r;
				return 0;
			}
	if (name[1] != 'r')
		return -EINVAL;
	for (; i < n && name[i] >= '0' && name[i] <= '9'; i++)
		number = number * 10 + (unsigned int)(name[i] - '0');
	if (number < 8 || number > 15 || (i < n && (i + 1 != n || !strchr("dwb", name[i]))))
		return -EINVAL;
	*ret = (enum machine_register)number;
	return 0;
}

enum machine_register machine_argument(unsigned int n)
{
	static const enum machine_register order[] = {
		MACHINE_DI, MACHINE_SI, MACHINE_DX, MACHINE_CX, MACHINE_R8, MACHINE_R9};

	return order[n];
}

bool machine_is_preserved(enum machine_register reg)
{
	return reg == MACHINE_BX || reg == MACHINE_BP || reg >= MACHINE_R12;
}

/* Bytes of a ModRM operand with what follows it; 0: they do not fit into n. */
static size_t operand_size(const unsigned char *p, size_t n)
{
	unsigned int mod = n ? p[0] >> 6 : 0, rm = n ? p[0] & 7 : 0;
	size_t size = 1;

	if (n < 2)
		return mod == 3 ? n : 0;
	if (mod == 3)
		return 1;
	if (rm == 4) {
		size++;
		if (mod == 0 && (p[1] & 7) == 5)
			size += 4;
	}
	if (mod == 1)
		size += 1;
	else if (mod == 2 || (mod == 0 && rm == 5))
		size += 4;
	return size <= n ? size : 0;
}

/* What follows a REX prefix, if there is one. */
static size_t rex_of(const unsigned char *code, size_t n, unsigned int *ret_rex)
{
	bool is = n && (code[0] & 0xf0) == 0x40;

	*ret_rex = is ? code[0] & 15u : 0;
	return is;
}

enum writes { WRITES_NOTHING, WRITES_REG, WRITES_RM };

static const struct form {
	unsigned char opcode;
	unsigned char writes;    /* enum writes; an operand in memory is no register */
	unsigned char immediate; /* bytes */
	bool compares;           /* with /7 of the group it writes nothing */
} forms[] = {
	{0x89, WRITES_RM, 0, false},                                        /* mov r, r/m */
	{0x8b, WRITES_REG, 0, false},                                       /* mov r/m, r */
	{0x8d, WRITES_REG, 0, false},                                       /* lea */
	{0x63, WRITES_REG, 0, false},                                       /* movslq */
	{0x31, WRITES_RM, 0, false},                                        /* xor */
	{0x33, WRITES_REG, 0, false}, {0x01, WRITES_RM, 0, false},          /* add */
	{0x29, WRITES_RM, 0, false},                                        /* sub */
	{0x39, WRITES_NOTHING, 0, false},                                   /* cmp */
	{0x3b, WRITES_NOTHING, 0, false}, {0x85, WRITES_NOTHING, 0, false}, /* test */
	{0x83, WRITES_RM, 1, true}, /* add, sub, and, cmp with a number */
	{0x81, WRITES_RM, 4, true}, {0xc7, WRITES_RM, 4, false}, /* mov number, r/m */
};

size_t machine_plain(const unsigned char *code, size_t n, uint32_t *ret_written)
{
	static const unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	unsigned int rex, modrm;
	size_t at = rex_of(code, n, &rex), operand;

	*ret_written = 0;
	if (n >= sizeof(endbr64) && !memcmp(code, endbr64, sizeof(endbr64)))
		return sizeof(endbr64);
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms) && at + 1 < n; i++) {
		const struct form *form = &forms[i];

		if (code[at] != form->opcode)
			continue;
		modrm = code[at + 1];
		operand = operand_size(code + at + 1, n - at - 1);
		if (!operand || at + 1 + operand + form->immediate > n)
			return 0;
		if (form->writes == WRITES_REG)
			*ret_written = 1u << ((modrm >> 3 & 7) | (rex & REX_R ? 8 : 0));
		else if (form->writes == WRITES_RM && modrm >> 6 == 3 &&
			 !(form->compares && (modrm >> 3 & 7) == 7))
			*ret_written = 1u << ((modrm & 7) | (rex & REX_B ? 8 : 0));
		return at + 1 + operand + form->immediate;
	}
	return 0;
}

/* branch_xol_ops and push_xol_ops: jumps, near calls, nop, push; no operand-size prefix. */
bool machine_is_emulated(const unsigned char *code, size_t n)
{
	unsigned int rex;
	size_t at = rex_of(code, n, &rex);

	if (!n)
		return false;
	if (at < n && (code[at] & 0xf8) == 0x50)
		return true;
	if (code[0] == 0x90 || code[0] == 0xe8 || code[0] == 0xe9 || code[0] == 0xeb)
		return true;
	if ((code[0] & 0xf0) == 0x70)
		return true;
	return n > 1 && code[0] == 0x0f && (code[1] & 0xf0) == 0x80;
}

static uint64_t relative(const unsigned char *at, uint64_t next)
{
	int32_t distance;

	memcpy(&distance, at, sizeof(distance));
	return next + (uint64_t)(int64_t)distance;
}

size_t machine_call(
	const unsigned char *code, size_t n, uint64_t address, uint64_t *ret_to, bool *ret_jump)
{
	if (n < 5 || (code[0] != 0xe8 && code[0] != 0xe9))
		return 0;
	*ret_to = relative(code + 1, address + 5);
	*ret_jump = code[0] == 0xe9;
	return 5;
}

size_t machine_indirect(const unsigned char *code, size_t n, uint64_t address, uint64_t *ret_word)
{
	if (n < 6 || code[0] != 0xff || (code[1] != 0x15 && code[1] != 0x25))
		return 0;
	*ret_word = relative(code + 2, address + 6);
	return 6;
}

/* endbr64, then bnd (IBT and MPX builds of binutils). */
size_t machine_stub_prefix(const unsigned char *code, size_t n)
{
	static const unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	size_t at = 0;

	if (n >= sizeof(endbr64) && !memcmp(code, endbr64, sizeof(endbr64)))
		at = sizeof(endbr64);
	return at < n && code[at] == 0xf2 ? at + 1 : at;
}

/* Backwards over what compilers put last before a call: moves between registers, and xor. */
int machine_moved_from(const unsigned char *begin, const unsigned char *end,
	enum machine_register argument, enum machine_register *ret)
{
	while (end > begin) {
		unsigned int from, to;

		if (end - begin >= 3 && (end[-3] & 0xfa) == 0x48 && end[-2] == 0x89 &&
			end[-1] >> 6 == 3) { /* mov r64, r64: 48, 49, 4c or 4d */
			from = (end[-1] >> 3 & 7) | (end[-3] & REX_R ? 8 : 0);
			to = (end[-1] & 7) | (end[-3] & REX_B ? 8 : 0);
			if (to == argument) {
				*ret = (enum machine_register)from;
				return 0;
			}
			end -= 3;
		} else if (end - begin >= 2 && end[-2] == 0x31 && end[-1] >> 6 == 3) {
			end -= 2;
		} else {
			return -ENOENT;
		}
	}
	return -ENOENT;
}
