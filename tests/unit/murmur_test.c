/* The hash of a cell's source is the one ipykernel computes: the values are those of
 * ipykernel.compiler.murmur2_x86. */
#include "tests/unit/unit.h"

#include "collector/murmur.h"

static uint32_t cell(const char *source)
{
	return murmur2(source, strlen(source), MURMUR_CELL_SEED);
}

TEST(murmur_is_ipykernels)
{
	char thousand[1001];

	memset(thousand, 'a', 1000);
	thousand[1000] = '\0';
	assert_int_equal(cell(""), 3990065800u);
	assert_int_equal(cell("a"), 2167009006u);
	assert_int_equal(cell("ab"), 2805137849u);
	assert_int_equal(cell("abc"), 3350977461u);
	assert_int_equal(cell("x = 1"), 3427300630u);
	assert_int_equal(cell("print('hi')\n"), 850928070u);
	assert_int_equal(cell("ü€𝄞"), 807410072u);
	assert_int_equal(cell(thousand), 247841771u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {RUN(murmur_is_ipykernels)};

	return RUN_TESTS(tests);
}
