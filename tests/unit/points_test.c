/* Machine instructions that probe points are judged by, and USDT arguments. */
#include "unit.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/user.h>

#include "probe/target/machine.h"
#include "probe/target/usdt.h"

#define CODE(...)                                                                                  \
	((const unsigned char[]){__VA_ARGS__}), sizeof((const unsigned char[]){__VA_ARGS__})

TEST(pushes_jumps_and_nops_are_emulated)
{
	assert_true(machine_is_emulated(CODE(0x55)));                    /* push %rbp */
	assert_true(machine_is_emulated(CODE(0x41, 0x57)));              /* push %r15 */
	assert_true(machine_is_emulated(CODE(0x90)));                    /* nop */
	assert_true(machine_is_emulated(CODE(0x0f, 0x84, 0, 0, 0, 0)));  /* je */
	assert_true(machine_is_emulated(CODE(0x75, 0x10)));              /* jne */
	assert_false(machine_is_emulated(CODE(0xf3, 0x0f, 0x1e, 0xfa))); /* endbr64 */
	assert_false(machine_is_emulated(CODE(0x66, 0x90)));             /* 2-byte nop */
	assert_false(machine_is_emulated(CODE(0x48, 0x83, 0xec, 0x28))); /* sub */
	assert_false(machine_is_emulated(CODE(0xff, 0x25, 0, 0, 0, 0))); /* jmp *word */
	assert_false(machine_is_emulated(NULL, 0));
}

TEST(plain_instructions_tell_what_they_write)
{
	uint32_t written;

	assert_int_equal(machine_plain(CODE(0x48, 0x89, 0xc5), &written), 3); /* mov %rax,%rbp */
	assert_int_equal(written, 1u << MACHINE_BP);
	assert_int_equal(machine_plain(CODE(0x49, 0x89, 0xc4), &written), 3); /* mov %rax,%r12 */
	assert_int_equal(written, 1u << MACHINE_R12);
	assert_int_equal(machine_plain(CODE(0x48, 0x85, 0xc0), &written), 3); /* test */
	assert_int_equal(written, 0);
	assert_int_equal(machine_plain(CODE(0x4c, 0x8b, 0x6b, 0x10), &written), 4);
	assert_int_equal(written, 1u << MACHINE_R13); /* mov 0x10(%rbx),%r13 */
	assert_int_equal(
		machine_plain(CODE(0x48, 0x89, 0x44, 0x24, 0x08), &written), 5); /* to the stack */
	assert_int_equal(written, 0);
	assert_int_equal(machine_plain(CODE(0x83, 0xf8, 0xff), &written), 3); /* cmp $-1,%eax */
	assert_int_equal(written, 0);
	assert_int_equal(machine_plain(CODE(0xc3), &written), 0);             /* ret */
	assert_int_equal(machine_plain(CODE(0x48, 0x8b), &written), 0);       /* cut */
	assert_int_equal(machine_plain(CODE(0x48, 0x8b, 0x05), &written), 0); /* cut */
}

TEST(argument_is_followed_back_to_its_register)
{
	/* mov %r13,%rdx; mov %rbx,%rsi; mov %rbp,%rdi */
	static const unsigned char moves[] = {0x4c, 0x89, 0xea, 0x48, 0x89, 0xde, 0x48, 0x89, 0xef};
	enum machine_register from;

	assert_int_equal(machine_moved_from(moves, moves + 9, MACHINE_SI, &from), 0);
	assert_int_equal(from, MACHINE_BX);
	assert_int_equal(machine_moved_from(moves, moves + 9, MACHINE_DX, &from), 0);
	assert_int_equal(from, MACHINE_R13);
	assert_int_equal(machine_moved_from(moves + 6, moves + 9, MACHINE_SI, &from), -ENOENT);
	assert_int_equal(machine_moved_from(moves, moves + 9, MACHINE_CX, &from), -ENOENT);
}

static struct point_argument parsed(const char *text)
{
	struct point_argument argument = {0};
	size_t used;

	assert_int_equal(usdt_argument_parse(text, &argument, &used), 0);
	assert_int_equal(used, strcspn(text, " "));
	return argument;
}

TEST(usdt_arguments_are_read_in_each_form)
{
	struct point_argument a = parsed("8@%r15 8@%rax");
	size_t used;

	assert_int_equal(a.kind, ARGUMENT_REGISTER);
	assert_int_equal(a.reg, offsetof(struct user_regs_struct, r15));
	assert_int_equal(a.size, 8);
	a = parsed("-4@112(%rsp)");
	assert_int_equal(a.kind, ARGUMENT_MEMORY);
	assert_int_equal(a.reg, offsetof(struct user_regs_struct, rsp));
	assert_int_equal(a.value, 112);
	assert_int_equal(a.size, 4);
	assert_true(a.is_signed);
	a = parsed("8@-8(%rbp)");
	assert_int_equal(a.value, -8);
	a = parsed("4@$-1");
	assert_int_equal(a.kind, ARGUMENT_CONSTANT);
	assert_int_equal(a.value, -1);
	a = parsed("1@%r8b");
	assert_int_equal(a.reg, offsetof(struct user_regs_struct, r8));
	for (const char *const *bad = (const char *const[]){"", "8", "8@", "3@%rax", "8@%xmm0",
		     "8@sym(%rip)", "8@(%rax,%rbx,8)", "8@8(%rax", "8@%r99", "8@$", "x@%rax", NULL};
		*bad; bad++)
		assert_int_equal(usdt_argument_parse(*bad, &a, &used), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(pushes_jumps_and_nops_are_emulated),
		RUN(plain_instructions_tell_what_they_write),
		RUN(argument_is_followed_back_to_its_register),
		RUN(usdt_arguments_are_read_in_each_form),
	};

	return RUN_TESTS(tests);
}
