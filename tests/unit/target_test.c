/* Reading another process's Python: on images of interpreters made up for the test, whole, torn and
 * broken, and the ELF half on our own libc. */
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <unistd.h>

#include "probe/target/image.h"
#include "probe/target/layout.h"
#include "probe/target/target.h"
#include "probe/target/unicode.h"

#define BASE 0x7f0000000000ull
#define SPACE (256u << 10)
#define IDENT 0x7f1234567700ull
#define DEPTH 12u

enum { RUNTIME, CODE_TYPE, STR_TYPE, BYTES_TYPE, SYMBOLS };

/* An address space with one interpreter, two thread states and one stack, of 3.minor. */
struct space {
	unsigned char bytes[SPACE];
	size_t used;
	struct layout lay;
	uint64_t symbols[SYMBOLS];
	uint64_t interp, thread, other_thread, cframe;
	uint64_t frame[DEPTH], code[DEPTH]; /* innermost first */
	unsigned int reads;
	/* called before each read; may change the space */
	void (*on_read)(struct space *s);
};

static int space_read(const struct memory *m, uint64_t address, void *buf, size_t n)
{
	struct space *s = (struct space *)(uintptr_t)m->image;

	s->reads++;
	if (s->on_read)
		s->on_read(s);
	if (address < BASE || n > SPACE || address - BASE > SPACE - n)
		return -EFAULT;
	memcpy(buf, s->bytes + (address - BASE), n);
	return 0;
}

static struct memory memory_of(const struct space *s)
{
	return (struct memory){.read = space_read, .image = s};
}

static uint64_t take(struct space *s, size_t n)
{
	uint64_t at = BASE + s->used;

	s->used += (n + 15) & ~(size_t)15;
	assert_true(s->used <= SPACE);
	return at;
}

static void put(struct space *s, uint64_t at, const void *bytes, size_t n)
{
	memcpy(s->bytes + (at - BASE), bytes, n);
}

static void put_u64(struct space *s, uint64_t at, uint64_t value)
{
	put(s, at, &value, sizeof(value));
}

static void put_u32(struct space *s, uint64_t at, uint32_t value)
{
	put(s, at, &value, sizeof(value));
}

static uint64_t make_type(struct space *s, const char *name)
{
	uint64_t type = take(s, 512), text = take(s, strlen(name) + 1);

	put(s, text, name, strlen(name) + 1);
	put_u64(s, type + s->lay.type_name, text);
	return type;
}

static uint64_t make_str(
	struct space *s, const void *data, size_t length, unsigned int width, bool ascii)
{
	uint64_t str = take(s, 80 + length * width);

	put_u64(s, str + s->lay.object_type, s->symbols[STR_TYPE]);
	put_u64(s, str + s->lay.str_length, length);
	put_u32(s, str + s->lay.str_state,
		UNICODE_COMPACT | width << UNICODE_KIND_SHIFT | (ascii ? UNICODE_ASCII : 0));
	put(s, str + (ascii ? s->lay.str_ascii_data : s->lay.str_compact_data), data,
		length * width);
	return str;
}

static uint64_t make_code(struct space *s, uint64_t file, uint64_t name, uint32_t line)
{
	uint64_t code = take(s, 512), table = take(s, 64);

	put_u64(s, table + s->lay.object_type, s->symbols[BYTES_TYPE]);
	put_u64(s, table + s->lay.bytes_size, 3);
	put(s, table + s->lay.bytes_data, "\1\2\3", 3);
	put_u64(s, code + s->lay.object_type, s->symbols[CODE_TYPE]);
	put_u64(s, code + s->lay.code_filename, file);
	put_u64(s, code + s->lay.code_name, name);
	if (s->lay.code_qualname != OFF_ABSENT)
		put_u64(s, code + s->lay.code_qualname, name);
	put_u64(s, code + s->lay.code_linetable, table);
	put_u32(s, code + s->lay.code_firstlineno, line);
	return code;
}

static void set_position(struct space *s, unsigned int i, uint32_t units)
{
	uint64_t at = s->frame[i] + s->lay.frame_instr;

	if (s->lay.code_instructions == OFF_ABSENT)
		put_u32(s, at, s->lay.minor < 10 ? units * 2 : units);
	else
		put_u64(s, at, s->code[i] + s->lay.code_instructions + units * 2);
}

static void set_innermost(struct space *s, uint64_t frame)
{
	if (s->lay.thread_cframe == OFF_ABSENT)
		put_u64(s, s->thread + s->lay.thread_frame, frame);
	else
		put_u64(s, s->cframe + s->lay.cframe_current_frame, frame);
}

static void make_stack(struct space *s)
{
	static const uint16_t wide[] = {0x2603, 'x', 0xdc80};
	static const uint32_t wider[] = {0x1d552, 'y'};
	uint64_t file = make_str(s, "/home/u/app.py", 14, 1, true);
	uint64_t names[] = {make_str(s, "plain", 5, 1, true), make_str(s, "caf\xe9", 4, 1, false),
		make_str(s, wide, 3, 2, false), make_str(s, wider, 2, 4, false)};

	for (unsigned int i = 0; i < DEPTH; i++) {
		s->code[i] = make_code(s, file, names[i % 4], 10 + i);
		s->frame[i] = take(s, 512);
	}
	for (unsigned int i = 0; i < DEPTH; i++) {
		put_u64(s, s->frame[i] + s->lay.frame_code, s->code[i]);
		put_u64(s, s->frame[i] + s->lay.frame_previous,
			i + 1 < DEPTH ? s->frame[i + 1] : 0);
		set_position(s, i, i + 1);
	}
	set_innermost(s, s->frame[0]);
}

static void make_debug_offsets(struct space *s)
{
	uint64_t at = s->symbols[RUNTIME];

	if (s->lay.minor < 13)
		return;
	put(s, at, "xdebugpy", 8);
	put_u64(s, at + 8, 0x030d00f0);
#define NONE 0
#define MEMBER(structure, member, v8, v9, v10, v11, v12, v13, v14, w13, w14, doc)                  \
	if (w13)                                                                                   \
		put_u64(s, at + 8 * w13, s->lay.structure##_##member);
#include "probe/target/layout.def"
#undef MEMBER
#undef NONE
}

static struct space *space_new(int minor)
{
	struct space *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_int_equal(layout_shipped(minor, &s->lay), 0);
	s->symbols[RUNTIME] = take(s, 8192);
	s->symbols[CODE_TYPE] = make_type(s, "code");
	s->symbols[STR_TYPE] = make_type(s, "str");
	s->symbols[BYTES_TYPE] = make_type(s, "bytes");
	s->interp = take(s, 16384);
	s->other_thread = take(s, 512);
	s->thread = take(s, 512);
	s->cframe = take(s, 64);
	put_u64(s, s->symbols[RUNTIME] + s->lay.runtime_interpreters_head, s->interp);
	put_u64(s, s->interp + s->lay.interp_threads_head, s->other_thread);
	put_u64(s, s->other_thread + s->lay.thread_interp, s->interp);
	put_u64(s, s->other_thread + s->lay.thread_next, s->thread);
	put_u64(s, s->thread + s->lay.thread_interp, s->interp);
	put_u64(s, s->thread + s->lay.thread_thread_id, IDENT);
	if (s->lay.thread_cframe != OFF_ABSENT)
		put_u64(s, s->thread + s->lay.thread_cframe, s->cframe);
	make_debug_offsets(s);
	make_stack(s);
	return s;
}

static struct target *open_space(struct space *s)
{
	struct memory memory = memory_of(s);
	struct target *target = NULL;
	const char *why = "";

	if (target_open_at(&memory, s->lay.minor, s->symbols, &target, &why))
		print_message("3.%d: %s\n", s->lay.minor, why);
	assert_non_null(target);
	return target;
}

TEST(target_reads_a_stack_of_every_version)
{
	static const char *const names[] = {
		"plain", "caf\xc3\xa9", "\xe2\x98\x83x\\udc80", "\xf0\x9d\x95\x92y"};

	for (int minor = 8; minor <= 13; minor++) {
		struct space *s = space_new(minor);
		struct target *target = open_space(s);
		struct target_stack stack;
		uint64_t thread;

		assert_int_equal(target_thread_find(target, IDENT, &thread), 0);
		assert_true(thread == s->thread);
		assert_true(target_thread_is(target, thread, IDENT));
		assert_int_equal(target_thread_find(target, IDENT + 1, &thread), -ENOENT);
		assert_int_equal(target_stack_read(target, s->thread, &stack), 0);
		assert_int_equal(stack.count, DEPTH);
		assert_int_equal(stack.cut, 0);
		assert_false(stack.moved);
		for (unsigned int i = 0; i < DEPTH; i++) {
			struct target_code code;

			assert_true(stack.frame[i].code == s->code[i]);
			assert_int_equal(stack.frame[i].position, 2 * (i + 1));
			assert_int_equal(target_code_read(target, s->code[i], &code), 0);
			assert_string_equal(code.file, "/home/u/app.py");
			assert_string_equal(code.function, names[i % 4]);
			assert_int_equal(code.firstlineno, 10 + i);
			assert_int_equal(code.table_size, 3);
			assert_memory_equal(code.table, "\1\2\3", 3);
			target_code_clear(&code);
		}
		target_free(target);
		free(s);
	}
}

static int refusal(struct space *s, const char **ret_why)
{
	struct memory memory = memory_of(s);
	struct target *target = NULL;
	int rc = target_open_at(&memory, s->lay.minor, s->symbols, &target, ret_why);

	assert_null(target);
	return rc;
}

TEST(target_refuses_by_name_what_the_layout_does_not_fit)
{
	struct space *s = space_new(11);
	const char *why = NULL;

	put_u64(s, s->symbols[CODE_TYPE] + s->lay.type_name, BASE);
	assert_int_equal(refusal(s, &why), -EPROTO);
	assert_string_equal(why, "types are not where the layout says");
	free(s);

	s = space_new(11);
	put_u64(s, s->other_thread + s->lay.thread_interp, s->thread);
	assert_int_equal(refusal(s, &why), -EPROTO);
	assert_string_equal(why, "thread states are not where the layout says");
	free(s);

	s = space_new(13);
	put_u64(s, s->symbols[RUNTIME] + 8, 0x030c00f0);
	assert_int_equal(refusal(s, &why), -EPROTO);
	put_u64(s, s->symbols[RUNTIME] + 8, 0x030d00f0);
	put_u64(s, s->symbols[RUNTIME] + 16, 1);
	assert_int_equal(refusal(s, &why), -ENOTSUP);
	assert_string_equal(why, "it is a free-threaded build");
	free(s);

	s = space_new(8);
	s->lay.minor = 99;
	assert_int_equal(refusal(s, &why), -ENOTSUP);
	free(s);
}

TEST(target_stops_in_lists_without_an_end)
{
	struct space *s = space_new(12);
	struct target *target = open_space(s);
	struct target_stack stack;
	uint64_t thread;

	put_u64(s, s->thread + s->lay.thread_next, s->other_thread);
	put_u64(s, s->frame[DEPTH - 1] + s->lay.frame_previous, s->frame[0]);
	assert_int_equal(target_thread_find(target, IDENT + 1, &thread), -ENOENT);
	assert_int_equal(target_stack_read(target, s->thread, &stack), 0);
	assert_int_equal(stack.count, TARGET_FRAMES_MAX);
	assert_true(stack.cut > 0);
	target_free(target);
	free(s);
}

TEST(target_leaves_out_what_is_no_python_frame)
{
	struct space *s = space_new(12);
	struct target *target = open_space(s);
	struct target_stack stack;
	unsigned char owner = LAYOUT_OWNER_C;

	put(s, s->frame[3] + s->lay.frame_owner, &owner, 1);
	assert_int_equal(target_stack_read(target, s->thread, &stack), 0);
	assert_int_equal(stack.count, DEPTH - 1);
	assert_true(stack.frame[3].code == s->code[4]);
	target_free(target);
	free(s);
}

TEST(target_tells_code_from_other_objects)
{
	struct space *s = space_new(10);
	struct target *target = open_space(s);
	struct target_code_key key;
	struct target_code code;

	assert_int_equal(target_code_read(target, s->thread, &code), -EPROTO);
	assert_int_equal(target_code_key(target, s->code[0] + 4, &key), -EFAULT);
	assert_int_equal(target_code_key(target, 0, &key), -EFAULT);
	assert_int_equal(target_code_key(target, s->code[0], &key), 0);
	put_u64(s, s->code[0] + s->lay.code_filename, s->code[1]);
	assert_int_equal(target_code_read(target, s->code[0], &code), -EPROTO);
	target_free(target);
	free(s);
}

/* ---- torn -------------------------------------------------------------------------------- */

/* The innermost function goes on. */
static void step(struct space *s)
{
	set_position(s, 0, s->reads % 50);
}

TEST(target_sees_bytecode_go_on)
{
	struct space *s = space_new(11);
	struct target *target = open_space(s);
	struct target_stack stack;

	s->on_read = step;
	assert_int_equal(target_stack_read(target, s->thread, &stack), 0);
	assert_int_equal(stack.count, DEPTH);
	assert_true(stack.moved);
	target_free(target);
	free(s);
}

/* The two innermost functions return and are called again all the time. */
static void call_and_return(struct space *s)
{
	set_innermost(s, s->frame[s->reads % 3]);
}

TEST(target_tells_only_frames_that_stayed)
{
	struct space *s = space_new(11);
	struct target *target = open_space(s);
	struct target_stack stack;

	s->on_read = call_and_return;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(target_stack_read(target, s->thread, &stack), 0);
		assert_true(stack.count >= DEPTH - 2);
		assert_true(stack.frame[stack.count - 1].code == s->code[DEPTH - 1]);
		for (uint32_t k = 0; k < stack.count; k++)
			assert_true(stack.frame[k].code == s->code[DEPTH - stack.count + k]);
	}
	target_free(target);
	free(s);
}

/* Nothing stays: each reading finds another stack. */
static void jump(struct space *s)
{
	set_innermost(s, s->frame[s->reads % DEPTH]);
	for (unsigned int i = 0; i < DEPTH; i++)
		put_u64(s, s->frame[i] + s->lay.frame_previous, 0);
}

TEST(target_throws_away_a_stack_that_changed)
{
	struct space *s = space_new(11);
	struct target *target = open_space(s);
	struct target_stack stack;
	int thrown = 0;

	s->on_read = jump;
	for (int i = 0; i < 100; i++)
		thrown += target_stack_read(target, s->thread, &stack) == -EAGAIN;
	assert_true(thrown > 50);
	target_free(target);
	free(s);
}

/* ---- any bytes --------------------------------------------------------------------------- */

static void use_all(struct space *s)
{
	struct memory memory = memory_of(s);
	struct target *target = NULL;
	struct target_stack stack;
	const char *why = NULL;
	uint64_t thread;

	if (target_open_at(&memory, s->lay.minor, s->symbols, &target, &why)) {
		assert_non_null(why);
		return;
	}
	if (!target_thread_find(target, IDENT, &thread) &&
		!target_stack_read(target, thread, &stack)) {
		assert_in_range(stack.count, 1, TARGET_FRAMES_MAX);
		for (uint32_t i = 0; i < stack.count; i++) {
			struct target_code code = {0};

			target_code_read(target, stack.frame[i].code, &code);
			target_code_clear(&code);
		}
	}
	target_free(target);
}

TEST(target_survives_any_bytes)
{
	uint64_t random = unit_seed() | 1;

	for (int round = 0; round < 1500; round++) {
		struct space *s = space_new(8 + round % 6);
		unsigned int changes = 1 + (unsigned int)(unit_random(&random) % 40);

		for (unsigned int i = 0; i < changes; i++) {
			uint64_t at = unit_random(&random) % (s->used / 8) * 8;
			uint64_t value = unit_random(&random);

			if (value & 1) /* often an address that is there */
				value = BASE + value % SPACE;
			memcpy(s->bytes + at, &value, 1 + value % 8);
		}
		use_all(s);
		free(s);
	}
}

/* ---- ELF --------------------------------------------------------------------------------- */

static int find_libc(struct dl_phdr_info *info, size_t size, void *ret)
{
	if (!strstr(info->dlpi_name, "libc.so"))
		return 0;
	*(uint64_t *)ret = info->dlpi_addr;
	return 1;
}

TEST(image_finds_symbols_of_a_loaded_object)
{
	struct memory memory = memory_of_process((uint32_t)getpid());
	uint64_t base = 0, address, size;
	struct image image;
	int rc;

	assert_int_equal(dl_iterate_phdr(find_libc, &base), 1);
	rc = image_open(&memory, base, &image);
	if (rc == -EPERM || rc == -ENOSYS)
		skip(); /* a sandbox */
	assert_int_equal(rc, 0);
	assert_int_equal(image_symbol(&memory, &image, "getppid", &address, &size), 0);
	assert_true(address == (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "getppid"));
	assert_int_equal(image_symbol(&memory, &image, "no_such_symbol", &address, &size), -ENOENT);
	assert_int_equal(image_open(&memory, base + 8, &image), -EPROTO);
	assert_int_equal(image_open(&memory, 0, &image), -EFAULT);
}

static uint64_t noise;

/* Our own memory, with a wrong byte now and then. */
static int noisy_read(const struct memory *m, uint64_t address, void *buf, size_t n)
{
	struct memory real = memory_of_process((uint32_t)getpid());
	int rc = memory_read(&real, address, buf, n);

	if (!rc && n && !(unit_random(&noise) & 3))
		((unsigned char *)buf)[unit_random(&noise) % n] =
			(unsigned char)unit_random(&noise);
	return rc;
}

TEST(image_survives_any_bytes)
{
	struct memory memory = {.read = noisy_read};
	uint64_t base = 0, address, size;
	struct image image;

	noise = unit_seed() | 1;
	assert_int_equal(dl_iterate_phdr(find_libc, &base), 1);
	for (int round = 0; round < 3000; round++)
		if (!image_open(&memory, base, &image))
			image_symbol(&memory, &image, "getppid", &address, &size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(target_reads_a_stack_of_every_version),
		RUN(target_refuses_by_name_what_the_layout_does_not_fit),
		RUN(target_stops_in_lists_without_an_end),
		RUN(target_leaves_out_what_is_no_python_frame),
		RUN(target_tells_code_from_other_objects),
		RUN(target_sees_bytecode_go_on),
		RUN(target_tells_only_frames_that_stayed),
		RUN(target_throws_away_a_stack_that_changed),
		RUN(target_survives_any_bytes),
		RUN(image_finds_symbols_of_a_loaded_object),
		RUN(image_survives_any_bytes),
	};

	return RUN_TESTS(tests);
}
