/* The one C++ file: toml++ (3.3 in Debian 12, 3.4 in 13) behind a C function. No exception leaves
 * it. */
#include "viewer/toml.h"

#include <cerrno>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

static constexpr int depth_most = 64; /* of tables in tables; deeper ones become null */

static json_t *value_of(const toml::node &node, int depth);

static json_t *text_of(std::string_view text)
{
	return json_stringn(text.data(), text.size());
}

static json_t *table_of(const toml::table &table, int depth)
{
	json_t *object = json_object();

	for (auto &&[key, node] : table) {
		std::string name{key.str()};

		if (json_object_set_new(object, name.c_str(), value_of(node, depth + 1)))
			throw std::bad_alloc{};
	}
	return object;
}

static json_t *array_of(const toml::array &items, int depth)
{
	json_t *array = json_array();

	for (auto &&node : items)
		if (json_array_append_new(array, value_of(node, depth + 1)))
			throw std::bad_alloc{};
	return array;
}

static json_t *value_of(const toml::node &node, int depth)
{
	if (depth > depth_most)
		return json_null();
	if (const toml::table *table = node.as_table())
		return table_of(*table, depth);
	if (const toml::array *items = node.as_array())
		return array_of(*items, depth);
	if (auto *text = node.as_string())
		return text_of(text->get());
	if (auto *integer = node.as_integer())
		return json_integer(integer->get());
	if (auto *real = node.as_floating_point())
		return json_real(real->get()) ?: json_null(); /* inf and nan are none in JSON */
	if (auto *boolean = node.as_boolean())
		return json_boolean(boolean->get());
	return json_null();
}

int toml_read(const char *text, size_t n, char *why, size_t size, json_t **ret)
{
	try {
		toml::parse_result result = toml::parse(std::string_view{text, n});

		if (!result) {
			std::string told{result.error().description()};

			std::snprintf(why, size, "line %u: %s",
				(unsigned)result.error().source().begin.line, told.c_str());
			return -EINVAL;
		}
		*ret = table_of(result.table(), 0);
		return *ret ? 0 : -ENOMEM;
	} catch (const std::exception &) {
		return -ENOMEM;
	}
}
