/* Made by instructions_cases.py: coroutines as each CPython compiles them. */
static const char names_3_8[] = "POP_TOP\000"
				"ROT_TWO\000"
				"ROT_THREE\000"
				"DUP_TOP\000"
				"DUP_TOP_TWO\000"
				"ROT_FOUR\000"
				"NOP\000"
				"UNARY_POSITIVE\000"
				"UNARY_NEGATIVE\000"
				"UNARY_NOT\000"
				"UNARY_INVERT\000"
				"BINARY_MATRIX_MULTIPLY\000"
				"INPLACE_MATRIX_MULTIPLY\000"
				"BINARY_POWER\000"
				"BINARY_MULTIPLY\000"
				"BINARY_MODULO\000"
				"BINARY_ADD\000"
				"BINARY_SUBTRACT\000"
				"BINARY_SUBSCR\000"
				"BINARY_FLOOR_DIVIDE\000"
				"BINARY_TRUE_DIVIDE\000"
				"INPLACE_FLOOR_DIVIDE\000"
				"INPLACE_TRUE_DIVIDE\000"
				"GET_AITER\000"
				"GET_ANEXT\000"
				"BEFORE_ASYNC_WITH\000"
				"BEGIN_FINALLY\000"
				"END_ASYNC_FOR\000"
				"INPLACE_ADD\000"
				"INPLACE_SUBTRACT\000"
				"INPLACE_MULTIPLY\000"
				"INPLACE_MODULO\000"
				"STORE_SUBSCR\000"
				"DELETE_SUBSCR\000"
				"BINARY_LSHIFT\000"
				"BINARY_RSHIFT\000"
				"BINARY_AND\000"
				"BINARY_XOR\000"
				"BINARY_OR\000"
				"INPLACE_POWER\000"
				"GET_ITER\000"
				"GET_YIELD_FROM_ITER\000"
				"PRINT_EXPR\000"
				"LOAD_BUILD_CLASS\000"
				"YIELD_FROM\000"
				"GET_AWAITABLE\000"
				"INPLACE_LSHIFT\000"
				"INPLACE_RSHIFT\000"
				"INPLACE_AND\000"
				"INPLACE_XOR\000"
				"INPLACE_OR\000"
				"WITH_CLEANUP_START\000"
				"WITH_CLEANUP_FINISH\000"
				"RETURN_VALUE\000"
				"IMPORT_STAR\000"
				"SETUP_ANNOTATIONS\000"
				"YIELD_VALUE\000"
				"POP_BLOCK\000"
				"END_FINALLY\000"
				"POP_EXCEPT\000"
				"STORE_NAME\000"
				"DELETE_NAME\000"
				"UNPACK_SEQUENCE\000"
				"FOR_ITER\000"
				"UNPACK_EX\000"
				"STORE_ATTR\000"
				"DELETE_ATTR\000"
				"STORE_GLOBAL\000"
				"DELETE_GLOBAL\000"
				"LOAD_CONST\000"
				"LOAD_NAME\000"
				"BUILD_TUPLE\000"
				"BUILD_LIST\000"
				"BUILD_SET\000"
				"BUILD_MAP\000"
				"LOAD_ATTR\000"
				"COMPARE_OP\000"
				"IMPORT_NAME\000"
				"IMPORT_FROM\000"
				"JUMP_FORWARD\000"
				"JUMP_IF_FALSE_OR_POP\000"
				"JUMP_IF_TRUE_OR_POP\000"
				"JUMP_ABSOLUTE\000"
				"POP_JUMP_IF_FALSE\000"
				"POP_JUMP_IF_TRUE\000"
				"LOAD_GLOBAL\000"
				"SETUP_FINALLY\000"
				"LOAD_FAST\000"
				"STORE_FAST\000"
				"DELETE_FAST\000"
				"RAISE_VARARGS\000"
				"CALL_FUNCTION\000"
				"MAKE_FUNCTION\000"
				"BUILD_SLICE\000"
				"LOAD_CLOSURE\000"
				"LOAD_DEREF\000"
				"STORE_DEREF\000"
				"DELETE_DEREF\000"
				"CALL_FUNCTION_KW\000"
				"CALL_FUNCTION_EX\000"
				"SETUP_WITH\000"
				"LIST_APPEND\000"
				"SET_ADD\000"
				"MAP_ADD\000"
				"LOAD_CLASSDEREF\000"
				"EXTENDED_ARG\000"
				"BUILD_LIST_UNPACK\000"
				"BUILD_MAP_UNPACK\000"
				"BUILD_MAP_UNPACK_WITH_CALL\000"
				"BUILD_TUPLE_UNPACK\000"
				"BUILD_SET_UNPACK\000"
				"SETUP_ASYNC_WITH\000"
				"FORMAT_VALUE\000"
				"BUILD_CONST_KEY_MAP\000"
				"BUILD_STRING\000"
				"BUILD_TUPLE_UNPACK_WITH_CALL\000"
				"LOAD_METHOD\000"
				"CALL_METHOD\000"
				"CALL_FINALLY\000"
				"POP_FINALLY\000";
static const unsigned char numbers_3_8[] = {1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 15, 16, 17, 19, 20, 22,
	23, 24, 25, 26, 27, 28, 29, 50, 51, 52, 53, 54, 55, 56, 57, 59, 60, 61, 62, 63, 64, 65, 66,
	67, 68, 69, 70, 71, 72, 73, 75, 76, 77, 78, 79, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91,
	92, 93, 94, 95, 96, 97, 98, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112,
	113, 114, 115, 116, 122, 124, 125, 126, 130, 131, 132, 133, 135, 136, 137, 138, 141, 142,
	143, 145, 146, 147, 148, 144, 149, 150, 151, 152, 153, 154, 155, 156, 157, 158, 160, 161,
	162, 163};
static const struct sample samples_3_8[] = {
	{"plain", "counter", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 1, 100, 2, 23,
			0, 97, 0, 100, 1, 83, 0)},
	{"augmented", "self.total", NAMES("total\000"), NAMES("self\000value\000"), 0, 0,
		CODE(124, 0, 4, 0, 106, 0, 124, 1, 131, 0, 73, 0, 100, 1, 72, 0, 55, 0, 2, 0, 95, 0,
			100, 1, 83, 0)},
	{"attribute", "state.inner.total", NAMES("inner\000total\000"),
		NAMES("state\000value\000before\000"), 0, 0,
		CODE(124, 0, 106, 0, 106, 1, 125, 2, 124, 1, 131, 0, 73, 0, 100, 1, 72, 0, 1, 0,
			124, 2, 100, 2, 23, 0, 124, 0, 106, 0, 95, 1, 100, 1, 83, 0)},
	{"item", "rows[...]", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(124, 0, 100, 1, 25, 0, 125, 2, 124, 1, 131, 0, 73, 0, 100, 2, 72, 0, 1, 0, 124,
			2, 100, 3, 23, 0, 124, 0, 100, 1, 60, 0, 100, 2, 83, 0)},
	{"item_augmented", "rows[...]", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(124, 0, 124, 1, 5, 0, 25, 0, 124, 2, 131, 0, 73, 0, 100, 1, 72, 0, 55, 0, 3, 0,
			60, 0, 100, 1, 83, 0)},
	{"through_locals", "counter", NAMES("counter\000max\000"),
		NAMES("value\000a\000b\000c\000_\000"), 0, 0,
		CODE(116, 0, 100, 1, 2, 0, 125, 1, 125, 2, 124, 1, 124, 2, 20, 0, 125, 3, 124, 0,
			131, 0, 50, 0, 122, 12, 51, 0, 100, 2, 72, 0, 87, 0, 125, 4, 113, 24, 54, 0,
			116, 1, 124, 3, 100, 3, 131, 2, 97, 0, 100, 2, 83, 0)},
	{"guarded", "counter guarded", NAMES("counter\000"), NAMES("lock\000value\000seen\000"), 0,
		0,
		CODE(124, 0, 52, 0, 73, 0, 100, 1, 72, 0, 154, 30, 1, 0, 116, 0, 125, 2, 124, 1,
			131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 2, 100, 2, 23, 0, 97, 0, 87, 0, 53,
			0, 81, 0, 73, 0, 100, 1, 72, 0, 82, 0, 88, 0, 100, 1, 83, 0)},
	{"acquired", "counter guarded", NAMES("acquire\000counter\000"),
		NAMES("lock\000value\000seen\000"), 0, 0,
		CODE(124, 0, 160, 0, 161, 0, 73, 0, 100, 1, 72, 0, 1, 0, 116, 1, 125, 2, 124, 1,
			131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 2, 100, 2, 23, 0, 97, 1, 100, 1,
			83, 0)},
	{"inner", "total", NAMES(""), NAMES("value\000seen\000total\000"), 0, 1,
		CODE(136, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 1, 100, 2, 23,
			0, 137, 0, 100, 1, 83, 0)},
	{"read_after", "", NAMES("counter\000"), NAMES("value\000"), 0, 0,
		CODE(124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0, 116, 0, 100, 1, 23, 0, 97, 0, 100,
			0, 83, 0)},
	{"read_again", "", NAMES("counter\000"), NAMES("value\000before\000"), 0, 0,
		CODE(116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0, 116, 0, 124, 1, 23,
			0, 97, 0, 100, 0, 83, 0)},
	{"other_name", "", NAMES("counter\000other\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0, 124, 1, 100, 1, 23,
			0, 97, 1, 100, 0, 83, 0)},
	{"local", "", NAMES(""), NAMES("value\000seen\000counter\000"), 1, 0,
		CODE(100, 1, 137, 0, 136, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0,
			124, 1, 100, 2, 23, 0, 137, 0, 135, 0, 102, 1, 100, 3, 100, 4, 132, 8, 83,
			0)},
	{"overwritten", "", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 125, 1, 124, 1, 97, 0,
			100, 0, 83, 0)},
	{"other_item", "", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(124, 0, 100, 1, 25, 0, 125, 2, 124, 1, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0, 124,
			2, 124, 0, 100, 2, 60, 0, 100, 0, 83, 0)},
	{"cached", "", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(124, 1, 124, 0, 107, 7, 114, 24, 124, 2, 131, 0, 73, 0, 100, 0, 72, 0, 124, 0,
			124, 1, 60, 0, 100, 0, 83, 0)},
};
static const char names_3_9[] = "POP_TOP\000"
				"ROT_TWO\000"
				"ROT_THREE\000"
				"DUP_TOP\000"
				"DUP_TOP_TWO\000"
				"ROT_FOUR\000"
				"NOP\000"
				"UNARY_POSITIVE\000"
				"UNARY_NEGATIVE\000"
				"UNARY_NOT\000"
				"UNARY_INVERT\000"
				"BINARY_MATRIX_MULTIPLY\000"
				"INPLACE_MATRIX_MULTIPLY\000"
				"BINARY_POWER\000"
				"BINARY_MULTIPLY\000"
				"BINARY_MODULO\000"
				"BINARY_ADD\000"
				"BINARY_SUBTRACT\000"
				"BINARY_SUBSCR\000"
				"BINARY_FLOOR_DIVIDE\000"
				"BINARY_TRUE_DIVIDE\000"
				"INPLACE_FLOOR_DIVIDE\000"
				"INPLACE_TRUE_DIVIDE\000"
				"RERAISE\000"
				"WITH_EXCEPT_START\000"
				"GET_AITER\000"
				"GET_ANEXT\000"
				"BEFORE_ASYNC_WITH\000"
				"END_ASYNC_FOR\000"
				"INPLACE_ADD\000"
				"INPLACE_SUBTRACT\000"
				"INPLACE_MULTIPLY\000"
				"INPLACE_MODULO\000"
				"STORE_SUBSCR\000"
				"DELETE_SUBSCR\000"
				"BINARY_LSHIFT\000"
				"BINARY_RSHIFT\000"
				"BINARY_AND\000"
				"BINARY_XOR\000"
				"BINARY_OR\000"
				"INPLACE_POWER\000"
				"GET_ITER\000"
				"GET_YIELD_FROM_ITER\000"
				"PRINT_EXPR\000"
				"LOAD_BUILD_CLASS\000"
				"YIELD_FROM\000"
				"GET_AWAITABLE\000"
				"LOAD_ASSERTION_ERROR\000"
				"INPLACE_LSHIFT\000"
				"INPLACE_RSHIFT\000"
				"INPLACE_AND\000"
				"INPLACE_XOR\000"
				"INPLACE_OR\000"
				"LIST_TO_TUPLE\000"
				"RETURN_VALUE\000"
				"IMPORT_STAR\000"
				"SETUP_ANNOTATIONS\000"
				"YIELD_VALUE\000"
				"POP_BLOCK\000"
				"POP_EXCEPT\000"
				"STORE_NAME\000"
				"DELETE_NAME\000"
				"UNPACK_SEQUENCE\000"
				"FOR_ITER\000"
				"UNPACK_EX\000"
				"STORE_ATTR\000"
				"DELETE_ATTR\000"
				"STORE_GLOBAL\000"
				"DELETE_GLOBAL\000"
				"LOAD_CONST\000"
				"LOAD_NAME\000"
				"BUILD_TUPLE\000"
				"BUILD_LIST\000"
				"BUILD_SET\000"
				"BUILD_MAP\000"
				"LOAD_ATTR\000"
				"COMPARE_OP\000"
				"IMPORT_NAME\000"
				"IMPORT_FROM\000"
				"JUMP_FORWARD\000"
				"JUMP_IF_FALSE_OR_POP\000"
				"JUMP_IF_TRUE_OR_POP\000"
				"JUMP_ABSOLUTE\000"
				"POP_JUMP_IF_FALSE\000"
				"POP_JUMP_IF_TRUE\000"
				"LOAD_GLOBAL\000"
				"IS_OP\000"
				"CONTAINS_OP\000"
				"JUMP_IF_NOT_EXC_MATCH\000"
				"SETUP_FINALLY\000"
				"LOAD_FAST\000"
				"STORE_FAST\000"
				"DELETE_FAST\000"
				"RAISE_VARARGS\000"
				"CALL_FUNCTION\000"
				"MAKE_FUNCTION\000"
				"BUILD_SLICE\000"
				"LOAD_CLOSURE\000"
				"LOAD_DEREF\000"
				"STORE_DEREF\000"
				"DELETE_DEREF\000"
				"CALL_FUNCTION_KW\000"
				"CALL_FUNCTION_EX\000"
				"SETUP_WITH\000"
				"LIST_APPEND\000"
				"SET_ADD\000"
				"MAP_ADD\000"
				"LOAD_CLASSDEREF\000"
				"EXTENDED_ARG\000"
				"SETUP_ASYNC_WITH\000"
				"FORMAT_VALUE\000"
				"BUILD_CONST_KEY_MAP\000"
				"BUILD_STRING\000"
				"LOAD_METHOD\000"
				"CALL_METHOD\000"
				"LIST_EXTEND\000"
				"SET_UPDATE\000"
				"DICT_MERGE\000"
				"DICT_UPDATE\000";
static const unsigned char numbers_3_9[] = {1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 15, 16, 17, 19, 20, 22,
	23, 24, 25, 26, 27, 28, 29, 48, 49, 50, 51, 52, 54, 55, 56, 57, 59, 60, 61, 62, 63, 64, 65,
	66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 82, 83, 84, 85, 86, 87, 89, 90, 91,
	92, 93, 94, 95, 96, 97, 98, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112,
	113, 114, 115, 116, 117, 118, 121, 122, 124, 125, 126, 130, 131, 132, 133, 135, 136, 137,
	138, 141, 142, 143, 145, 146, 147, 148, 144, 154, 155, 156, 157, 160, 161, 162, 163, 164,
	165};
static const struct sample samples_3_9[] = {
	{"plain", "counter", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 1, 100, 2, 23,
			0, 97, 0, 100, 1, 83, 0)},
	{"augmented", "self.total", NAMES("total\000"), NAMES("self\000value\000"), 0, 0,
		CODE(124, 0, 4, 0, 106, 0, 124, 1, 131, 0, 73, 0, 100, 1, 72, 0, 55, 0, 2, 0, 95, 0,
			100, 1, 83, 0)},
	{"attribute", "state.inner.total", NAMES("inner\000total\000"),
		NAMES("state\000value\000before\000"), 0, 0,
		CODE(124, 0, 106, 0, 106, 1, 125, 2, 124, 1, 131, 0, 73, 0, 100, 1, 72, 0, 1, 0,
			124, 2, 100, 2, 23, 0, 124, 0, 106, 0, 95, 1, 100, 1, 83, 0)},
	{"item", "rows[...]", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(124, 0, 100, 1, 25, 0, 125, 2, 124, 1, 131, 0, 73, 0, 100, 2, 72, 0, 1, 0, 124,
			2, 100, 3, 23, 0, 124, 0, 100, 1, 60, 0, 100, 2, 83, 0)},
	{"item_augmented", "rows[...]", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(124, 0, 124, 1, 5, 0, 25, 0, 124, 2, 131, 0, 73, 0, 100, 1, 72, 0, 55, 0, 3, 0,
			60, 0, 100, 1, 83, 0)},
	{"through_locals", "counter", NAMES("counter\000max\000"),
		NAMES("value\000a\000b\000c\000_\000"), 0, 0,
		CODE(116, 0, 100, 1, 2, 0, 125, 1, 125, 2, 124, 1, 124, 2, 20, 0, 125, 3, 124, 0,
			131, 0, 50, 0, 122, 12, 51, 0, 100, 2, 72, 0, 87, 0, 125, 4, 113, 24, 54, 0,
			116, 1, 124, 3, 100, 3, 131, 2, 97, 0, 100, 2, 83, 0)},
	{"guarded", "counter guarded", NAMES("counter\000"), NAMES("lock\000value\000seen\000"), 0,
		0,
		CODE(124, 0, 52, 0, 73, 0, 100, 1, 72, 0, 154, 46, 1, 0, 116, 0, 125, 2, 124, 1,
			131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 2, 100, 2, 23, 0, 97, 0, 87, 0,
			100, 1, 4, 0, 4, 0, 131, 3, 73, 0, 100, 1, 72, 0, 1, 0, 113, 80, 49, 0, 73,
			0, 100, 1, 72, 0, 115, 70, 48, 0, 1, 0, 1, 0, 1, 0, 89, 0, 1, 0, 100, 1, 83,
			0)},
	{"acquired", "counter guarded", NAMES("acquire\000counter\000"),
		NAMES("lock\000value\000seen\000"), 0, 0,
		CODE(124, 0, 160, 0, 161, 0, 73, 0, 100, 1, 72, 0, 1, 0, 116, 1, 125, 2, 124, 1,
			131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 2, 100, 2, 23, 0, 97, 1, 100, 1,
			83, 0)},
	{"inner", "total", NAMES(""), NAMES("value\000seen\000total\000"), 0, 1,
		CODE(136, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 1, 100, 2, 23,
			0, 137, 0, 100, 1, 83, 0)},
	{"read_after", "", NAMES("counter\000"), NAMES("value\000"), 0, 0,
		CODE(124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0, 116, 0, 100, 1, 23, 0, 97, 0, 100,
			0, 83, 0)},
	{"read_again", "", NAMES("counter\000"), NAMES("value\000before\000"), 0, 0,
		CODE(116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0, 116, 0, 124, 1, 23,
			0, 97, 0, 100, 0, 83, 0)},
	{"other_name", "", NAMES("counter\000other\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0, 124, 1, 100, 1, 23,
			0, 97, 1, 100, 0, 83, 0)},
	{"local", "", NAMES(""), NAMES("value\000seen\000counter\000"), 1, 0,
		CODE(100, 1, 137, 0, 136, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0,
			124, 1, 100, 2, 23, 0, 137, 0, 135, 0, 102, 1, 100, 3, 100, 4, 132, 8, 83,
			0)},
	{"overwritten", "", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 125, 1, 124, 1, 97, 0,
			100, 0, 83, 0)},
	{"other_item", "", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(124, 0, 100, 1, 25, 0, 125, 2, 124, 1, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0, 124,
			2, 124, 0, 100, 2, 60, 0, 100, 0, 83, 0)},
	{"cached", "", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(124, 1, 124, 0, 118, 1, 114, 24, 124, 2, 131, 0, 73, 0, 100, 0, 72, 0, 124, 0,
			124, 1, 60, 0, 100, 0, 83, 0)},
};
static const char names_3_10[] = "POP_TOP\000"
				 "ROT_TWO\000"
				 "ROT_THREE\000"
				 "DUP_TOP\000"
				 "DUP_TOP_TWO\000"
				 "ROT_FOUR\000"
				 "NOP\000"
				 "UNARY_POSITIVE\000"
				 "UNARY_NEGATIVE\000"
				 "UNARY_NOT\000"
				 "UNARY_INVERT\000"
				 "BINARY_MATRIX_MULTIPLY\000"
				 "INPLACE_MATRIX_MULTIPLY\000"
				 "BINARY_POWER\000"
				 "BINARY_MULTIPLY\000"
				 "BINARY_MODULO\000"
				 "BINARY_ADD\000"
				 "BINARY_SUBTRACT\000"
				 "BINARY_SUBSCR\000"
				 "BINARY_FLOOR_DIVIDE\000"
				 "BINARY_TRUE_DIVIDE\000"
				 "INPLACE_FLOOR_DIVIDE\000"
				 "INPLACE_TRUE_DIVIDE\000"
				 "GET_LEN\000"
				 "MATCH_MAPPING\000"
				 "MATCH_SEQUENCE\000"
				 "MATCH_KEYS\000"
				 "COPY_DICT_WITHOUT_KEYS\000"
				 "WITH_EXCEPT_START\000"
				 "GET_AITER\000"
				 "GET_ANEXT\000"
				 "BEFORE_ASYNC_WITH\000"
				 "END_ASYNC_FOR\000"
				 "INPLACE_ADD\000"
				 "INPLACE_SUBTRACT\000"
				 "INPLACE_MULTIPLY\000"
				 "INPLACE_MODULO\000"
				 "STORE_SUBSCR\000"
				 "DELETE_SUBSCR\000"
				 "BINARY_LSHIFT\000"
				 "BINARY_RSHIFT\000"
				 "BINARY_AND\000"
				 "BINARY_XOR\000"
				 "BINARY_OR\000"
				 "INPLACE_POWER\000"
				 "GET_ITER\000"
				 "GET_YIELD_FROM_ITER\000"
				 "PRINT_EXPR\000"
				 "LOAD_BUILD_CLASS\000"
				 "YIELD_FROM\000"
				 "GET_AWAITABLE\000"
				 "LOAD_ASSERTION_ERROR\000"
				 "INPLACE_LSHIFT\000"
				 "INPLACE_RSHIFT\000"
				 "INPLACE_AND\000"
				 "INPLACE_XOR\000"
				 "INPLACE_OR\000"
				 "LIST_TO_TUPLE\000"
				 "RETURN_VALUE\000"
				 "IMPORT_STAR\000"
				 "SETUP_ANNOTATIONS\000"
				 "YIELD_VALUE\000"
				 "POP_BLOCK\000"
				 "POP_EXCEPT\000"
				 "STORE_NAME\000"
				 "DELETE_NAME\000"
				 "UNPACK_SEQUENCE\000"
				 "FOR_ITER\000"
				 "UNPACK_EX\000"
				 "STORE_ATTR\000"
				 "DELETE_ATTR\000"
				 "STORE_GLOBAL\000"
				 "DELETE_GLOBAL\000"
				 "ROT_N\000"
				 "LOAD_CONST\000"
				 "LOAD_NAME\000"
				 "BUILD_TUPLE\000"
				 "BUILD_LIST\000"
				 "BUILD_SET\000"
				 "BUILD_MAP\000"
				 "LOAD_ATTR\000"
				 "COMPARE_OP\000"
				 "IMPORT_NAME\000"
				 "IMPORT_FROM\000"
				 "JUMP_FORWARD\000"
				 "JUMP_IF_FALSE_OR_POP\000"
				 "JUMP_IF_TRUE_OR_POP\000"
				 "JUMP_ABSOLUTE\000"
				 "POP_JUMP_IF_FALSE\000"
				 "POP_JUMP_IF_TRUE\000"
				 "LOAD_GLOBAL\000"
				 "IS_OP\000"
				 "CONTAINS_OP\000"
				 "RERAISE\000"
				 "JUMP_IF_NOT_EXC_MATCH\000"
				 "SETUP_FINALLY\000"
				 "LOAD_FAST\000"
				 "STORE_FAST\000"
				 "DELETE_FAST\000"
				 "GEN_START\000"
				 "RAISE_VARARGS\000"
				 "CALL_FUNCTION\000"
				 "MAKE_FUNCTION\000"
				 "BUILD_SLICE\000"
				 "LOAD_CLOSURE\000"
				 "LOAD_DEREF\000"
				 "STORE_DEREF\000"
				 "DELETE_DEREF\000"
				 "CALL_FUNCTION_KW\000"
				 "CALL_FUNCTION_EX\000"
				 "SETUP_WITH\000"
				 "EXTENDED_ARG\000"
				 "LIST_APPEND\000"
				 "SET_ADD\000"
				 "MAP_ADD\000"
				 "LOAD_CLASSDEREF\000"
				 "MATCH_CLASS\000"
				 "SETUP_ASYNC_WITH\000"
				 "FORMAT_VALUE\000"
				 "BUILD_CONST_KEY_MAP\000"
				 "BUILD_STRING\000"
				 "LOAD_METHOD\000"
				 "CALL_METHOD\000"
				 "LIST_EXTEND\000"
				 "SET_UPDATE\000"
				 "DICT_MERGE\000"
				 "DICT_UPDATE\000";
static const unsigned char numbers_3_10[] = {1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 15, 16, 17, 19, 20,
	22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 49, 50, 51, 52, 54, 55, 56, 57, 59, 60,
	61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 82, 83, 84, 85,
	86, 87, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107,
	108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 121, 122, 124, 125, 126, 129,
	130, 131, 132, 133, 135, 136, 137, 138, 141, 142, 143, 144, 145, 146, 147, 148, 152, 154,
	155, 156, 157, 160, 161, 162, 163, 164, 165};
static const struct sample samples_3_10[] = {
	{"plain", "counter", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(129, 1, 116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 1,
			100, 2, 23, 0, 97, 0, 100, 1, 83, 0)},
	{"augmented", "self.total", NAMES("total\000"), NAMES("self\000value\000"), 0, 0,
		CODE(129, 1, 124, 0, 4, 0, 106, 0, 124, 1, 131, 0, 73, 0, 100, 1, 72, 0, 55, 0, 2,
			0, 95, 0, 100, 1, 83, 0)},
	{"attribute", "state.inner.total", NAMES("inner\000total\000"),
		NAMES("state\000value\000before\000"), 0, 0,
		CODE(129, 1, 124, 0, 106, 0, 106, 1, 125, 2, 124, 1, 131, 0, 73, 0, 100, 1, 72, 0,
			1, 0, 124, 2, 100, 2, 23, 0, 124, 0, 106, 0, 95, 1, 100, 1, 83, 0)},
	{"item", "rows[...]", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(129, 1, 124, 0, 100, 1, 25, 0, 125, 2, 124, 1, 131, 0, 73, 0, 100, 2, 72, 0, 1,
			0, 124, 2, 100, 3, 23, 0, 124, 0, 100, 1, 60, 0, 100, 2, 83, 0)},
	{"item_augmented", "rows[...]", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(129, 1, 124, 0, 124, 1, 5, 0, 25, 0, 124, 2, 131, 0, 73, 0, 100, 1, 72, 0, 55,
			0, 3, 0, 60, 0, 100, 1, 83, 0)},
	{"through_locals", "counter", NAMES("counter\000max\000"),
		NAMES("value\000a\000b\000c\000_\000"), 0, 0,
		CODE(129, 1, 116, 0, 100, 1, 2, 2, 125, 1, 125, 2, 124, 1, 124, 2, 20, 0, 125, 3,
			124, 0, 131, 0, 50, 0, 122, 6, 51, 0, 100, 2, 72, 0, 87, 0, 125, 4, 113, 13,
			54, 0, 116, 1, 124, 3, 100, 3, 131, 2, 97, 0, 100, 2, 83, 0)},
	{"guarded", "counter guarded", NAMES("counter\000"), NAMES("lock\000value\000seen\000"), 0,
		0,
		CODE(129, 1, 124, 0, 52, 0, 73, 0, 100, 1, 72, 0, 154, 24, 1, 0, 116, 0, 125, 2,
			124, 1, 131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 2, 100, 2, 23, 0, 97, 0,
			87, 0, 100, 1, 4, 0, 4, 0, 131, 3, 73, 0, 100, 1, 72, 0, 1, 0, 100, 1, 83,
			0, 49, 0, 73, 0, 100, 1, 72, 0, 115, 37, 119, 1, 1, 0, 1, 0, 1, 0, 89, 0, 1,
			0, 100, 1, 83, 0)},
	{"acquired", "counter guarded", NAMES("acquire\000counter\000"),
		NAMES("lock\000value\000seen\000"), 0, 0,
		CODE(129, 1, 124, 0, 160, 0, 161, 0, 73, 0, 100, 1, 72, 0, 1, 0, 116, 1, 125, 2,
			124, 1, 131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 2, 100, 2, 23, 0, 97, 1,
			100, 1, 83, 0)},
	{"inner", "total", NAMES(""), NAMES("value\000seen\000total\000"), 0, 1,
		CODE(129, 1, 136, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 1, 72, 0, 1, 0, 124, 1,
			100, 2, 23, 0, 137, 0, 100, 1, 83, 0)},
	{"read_after", "", NAMES("counter\000"), NAMES("value\000"), 0, 0,
		CODE(129, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0, 116, 0, 100, 1, 23, 0, 97,
			0, 100, 0, 83, 0)},
	{"read_again", "", NAMES("counter\000"), NAMES("value\000before\000"), 0, 0,
		CODE(129, 1, 116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0, 116, 0,
			124, 1, 23, 0, 97, 0, 100, 0, 83, 0)},
	{"other_name", "", NAMES("counter\000other\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(129, 1, 116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 1, 0, 124, 1,
			100, 1, 23, 0, 97, 1, 100, 0, 83, 0)},
	{"local", "", NAMES(""), NAMES("value\000seen\000counter\000"), 1, 0,
		CODE(129, 1, 100, 1, 137, 0, 136, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0,
			1, 0, 124, 1, 100, 2, 23, 0, 137, 0, 135, 0, 102, 1, 100, 3, 100, 4, 132, 8,
			83, 0)},
	{"overwritten", "", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(129, 1, 116, 0, 125, 1, 124, 0, 131, 0, 73, 0, 100, 0, 72, 0, 125, 1, 124, 1,
			97, 0, 100, 0, 83, 0)},
	{"other_item", "", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(129, 1, 124, 0, 100, 1, 25, 0, 125, 2, 124, 1, 131, 0, 73, 0, 100, 0, 72, 0, 1,
			0, 124, 2, 124, 0, 100, 2, 60, 0, 100, 0, 83, 0)},
	{"cached", "", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(129, 1, 124, 1, 124, 0, 118, 1, 114, 15, 124, 2, 131, 0, 73, 0, 100, 0, 72, 0,
			124, 0, 124, 1, 60, 0, 100, 0, 83, 0, 100, 0, 83, 0)},
};
static const char names_3_11[] = "CACHE\000"
				 "POP_TOP\000"
				 "PUSH_NULL\000"
				 "NOP\000"
				 "UNARY_POSITIVE\000"
				 "UNARY_NEGATIVE\000"
				 "UNARY_NOT\000"
				 "UNARY_INVERT\000"
				 "BINARY_SUBSCR\000"
				 "GET_LEN\000"
				 "MATCH_MAPPING\000"
				 "MATCH_SEQUENCE\000"
				 "MATCH_KEYS\000"
				 "PUSH_EXC_INFO\000"
				 "CHECK_EXC_MATCH\000"
				 "CHECK_EG_MATCH\000"
				 "WITH_EXCEPT_START\000"
				 "GET_AITER\000"
				 "GET_ANEXT\000"
				 "BEFORE_ASYNC_WITH\000"
				 "BEFORE_WITH\000"
				 "END_ASYNC_FOR\000"
				 "STORE_SUBSCR\000"
				 "DELETE_SUBSCR\000"
				 "GET_ITER\000"
				 "GET_YIELD_FROM_ITER\000"
				 "PRINT_EXPR\000"
				 "LOAD_BUILD_CLASS\000"
				 "LOAD_ASSERTION_ERROR\000"
				 "RETURN_GENERATOR\000"
				 "LIST_TO_TUPLE\000"
				 "RETURN_VALUE\000"
				 "IMPORT_STAR\000"
				 "SETUP_ANNOTATIONS\000"
				 "YIELD_VALUE\000"
				 "ASYNC_GEN_WRAP\000"
				 "PREP_RERAISE_STAR\000"
				 "POP_EXCEPT\000"
				 "STORE_NAME\000"
				 "DELETE_NAME\000"
				 "UNPACK_SEQUENCE\000"
				 "FOR_ITER\000"
				 "UNPACK_EX\000"
				 "STORE_ATTR\000"
				 "DELETE_ATTR\000"
				 "STORE_GLOBAL\000"
				 "DELETE_GLOBAL\000"
				 "SWAP\000"
				 "LOAD_CONST\000"
				 "LOAD_NAME\000"
				 "BUILD_TUPLE\000"
				 "BUILD_LIST\000"
				 "BUILD_SET\000"
				 "BUILD_MAP\000"
				 "LOAD_ATTR\000"
				 "COMPARE_OP\000"
				 "IMPORT_NAME\000"
				 "IMPORT_FROM\000"
				 "JUMP_FORWARD\000"
				 "JUMP_IF_FALSE_OR_POP\000"
				 "JUMP_IF_TRUE_OR_POP\000"
				 "POP_JUMP_FORWARD_IF_FALSE\000"
				 "POP_JUMP_FORWARD_IF_TRUE\000"
				 "LOAD_GLOBAL\000"
				 "IS_OP\000"
				 "CONTAINS_OP\000"
				 "RERAISE\000"
				 "COPY\000"
				 "BINARY_OP\000"
				 "SEND\000"
				 "LOAD_FAST\000"
				 "STORE_FAST\000"
				 "DELETE_FAST\000"
				 "POP_JUMP_FORWARD_IF_NOT_NONE\000"
				 "POP_JUMP_FORWARD_IF_NONE\000"
				 "RAISE_VARARGS\000"
				 "GET_AWAITABLE\000"
				 "MAKE_FUNCTION\000"
				 "BUILD_SLICE\000"
				 "JUMP_BACKWARD_NO_INTERRUPT\000"
				 "MAKE_CELL\000"
				 "LOAD_CLOSURE\000"
				 "LOAD_DEREF\000"
				 "STORE_DEREF\000"
				 "DELETE_DEREF\000"
				 "JUMP_BACKWARD\000"
				 "CALL_FUNCTION_EX\000"
				 "EXTENDED_ARG\000"
				 "LIST_APPEND\000"
				 "SET_ADD\000"
				 "MAP_ADD\000"
				 "LOAD_CLASSDEREF\000"
				 "COPY_FREE_VARS\000"
				 "RESUME\000"
				 "MATCH_CLASS\000"
				 "FORMAT_VALUE\000"
				 "BUILD_CONST_KEY_MAP\000"
				 "BUILD_STRING\000"
				 "LOAD_METHOD\000"
				 "LIST_EXTEND\000"
				 "SET_UPDATE\000"
				 "DICT_MERGE\000"
				 "DICT_UPDATE\000"
				 "PRECALL\000"
				 "CALL\000"
				 "KW_NAMES\000"
				 "POP_JUMP_BACKWARD_IF_NOT_NONE\000"
				 "POP_JUMP_BACKWARD_IF_NONE\000"
				 "POP_JUMP_BACKWARD_IF_FALSE\000"
				 "POP_JUMP_BACKWARD_IF_TRUE\000";
static const unsigned char numbers_3_11[] = {0, 1, 2, 9, 10, 11, 12, 15, 25, 30, 31, 32, 33, 35, 36,
	37, 49, 50, 51, 52, 53, 54, 60, 61, 68, 69, 70, 71, 74, 75, 82, 83, 84, 85, 86, 87, 88, 89,
	90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109,
	110, 111, 112, 114, 115, 116, 117, 118, 119, 120, 122, 123, 124, 125, 126, 128, 129, 130,
	131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 142, 144, 145, 146, 147, 148, 149, 151,
	152, 155, 156, 157, 160, 162, 163, 164, 165, 166, 171, 172, 173, 174, 175, 176};
static const struct sample samples_3_11[] = {
	{"plain", "counter", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 1, 2, 0, 124,
			0, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 1, 123, 3, 86,
			0, 151, 3, 134, 4, 1, 0, 124, 1, 100, 2, 122, 0, 0, 0, 97, 0, 100, 1, 83,
			0)},
	{"augmented", "self.total", NAMES("total\000"), NAMES("self\000value\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 120, 1, 106, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 124,
			1, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 1, 123, 3, 86,
			0, 151, 3, 134, 4, 122, 13, 0, 0, 99, 2, 95, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100,
			1, 83, 0)},
	{"attribute", "state.inner.total", NAMES("inner\000total\000"),
		NAMES("state\000value\000before\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 106, 0, 0, 0, 0, 0, 0, 0, 0, 0, 106, 1, 0, 0, 0,
			0, 0, 0, 0, 0, 125, 2, 2, 0, 124, 1, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 131, 0, 100, 1, 123, 3, 86, 0, 151, 3, 134, 4, 1, 0, 124, 2, 100, 2,
			122, 0, 0, 0, 124, 0, 106, 0, 0, 0, 0, 0, 0, 0, 0, 0, 95, 1, 0, 0, 0, 0, 0,
			0, 0, 0, 100, 1, 83, 0)},
	{"item", "rows[...]", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 100, 1, 25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 2, 2,
			0, 124, 1, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 2,
			123, 3, 86, 0, 151, 3, 134, 4, 1, 0, 124, 2, 100, 3, 122, 0, 0, 0, 124, 0,
			100, 1, 60, 0, 0, 0, 100, 2, 83, 0)},
	{"item_augmented", "rows[...]", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 124, 1, 120, 2, 120, 2, 25, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 2, 0, 124, 2, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0,
			100, 1, 123, 3, 86, 0, 151, 3, 134, 4, 122, 13, 0, 0, 99, 3, 99, 2, 60, 0,
			0, 0, 100, 1, 83, 0)},
	{"through_locals", "counter", NAMES("counter\000max\000"),
		NAMES("value\000a\000b\000c\000_\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 1, 125, 2, 125,
			1, 124, 1, 124, 2, 122, 5, 0, 0, 125, 3, 2, 0, 124, 0, 166, 0, 0, 0, 171, 0,
			0, 0, 0, 0, 0, 0, 0, 0, 50, 0, 51, 0, 100, 2, 123, 3, 86, 0, 151, 3, 134, 4,
			125, 4, 140, 8, 54, 0, 116, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 124, 3, 100, 3,
			166, 2, 0, 0, 171, 2, 0, 0, 0, 0, 0, 0, 0, 0, 97, 0, 100, 2, 83, 0)},
	{"guarded", "counter guarded", NAMES("counter\000"), NAMES("lock\000value\000seen\000"), 0,
		0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 52, 0, 131, 1, 100, 1, 123, 3, 86, 0, 151, 3, 134,
			4, 1, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 2, 2, 0, 124, 1, 166, 0,
			0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 1, 123, 3, 86, 0, 151, 3,
			134, 4, 1, 0, 124, 2, 100, 2, 122, 0, 0, 0, 97, 0, 100, 1, 100, 1, 100, 1,
			166, 2, 0, 0, 171, 2, 0, 0, 0, 0, 0, 0, 0, 0, 131, 2, 100, 1, 123, 3, 86, 0,
			151, 3, 134, 4, 1, 0, 100, 1, 83, 0, 35, 0, 49, 0, 131, 2, 100, 1, 123, 3,
			86, 0, 151, 3, 134, 4, 115, 4, 119, 2, 120, 3, 89, 0, 119, 1, 1, 0, 89, 0,
			1, 0, 1, 0, 100, 1, 83, 0)},
	{"acquired", "counter guarded", NAMES("acquire\000counter\000"),
		NAMES("lock\000value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 160, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 0, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100,
			1, 123, 3, 86, 0, 151, 3, 134, 4, 1, 0, 116, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 125, 2, 2, 0, 124, 1, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131,
			0, 100, 1, 123, 3, 86, 0, 151, 3, 134, 4, 1, 0, 124, 2, 100, 2, 122, 0, 0,
			0, 97, 1, 100, 1, 83, 0)},
	{"inner", "total", NAMES(""), NAMES("value\000seen\000total\000"), 0, 0,
		CODE(149, 1, 75, 0, 1, 0, 151, 0, 137, 2, 125, 1, 2, 0, 124, 0, 166, 0, 0, 0, 171,
			0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 1, 123, 3, 86, 0, 151, 3, 134, 4, 1,
			0, 124, 1, 100, 2, 122, 0, 0, 0, 138, 2, 100, 1, 83, 0)},
	{"read_after", "", NAMES("counter\000"), NAMES("value\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 2, 0, 124, 0, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 131, 0, 100, 0, 123, 3, 86, 0, 151, 3, 134, 4, 1, 0, 116, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 0, 100, 1, 122, 0, 0, 0, 97, 0, 100, 0, 83, 0)},
	{"read_again", "", NAMES("counter\000"), NAMES("value\000before\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 1, 2, 0, 124,
			0, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 0, 123, 3, 86,
			0, 151, 3, 134, 4, 1, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 124, 1, 122,
			0, 0, 0, 97, 0, 100, 0, 83, 0)},
	{"other_name", "", NAMES("counter\000other\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 1, 2, 0, 124,
			0, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 0, 123, 3, 86,
			0, 151, 3, 134, 4, 1, 0, 124, 1, 100, 1, 122, 0, 0, 0, 97, 1, 100, 0, 83,
			0)},
	{"local", "", NAMES(""), NAMES("value\000seen\000counter\000"), 0, 0,
		CODE(135, 2, 75, 0, 1, 0, 151, 0, 100, 1, 138, 2, 137, 2, 125, 1, 2, 0, 124, 0, 166,
			0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 0, 123, 3, 86, 0, 151,
			3, 134, 4, 1, 0, 124, 1, 100, 2, 122, 0, 0, 0, 138, 2, 136, 2, 102, 1, 100,
			3, 132, 8, 83, 0)},
	{"overwritten", "", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 1, 2, 0, 124,
			0, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 0, 123, 3, 86,
			0, 151, 3, 134, 4, 125, 1, 124, 1, 97, 0, 100, 0, 83, 0)},
	{"other_item", "", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 100, 1, 25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 2, 2,
			0, 124, 1, 166, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 0,
			123, 3, 86, 0, 151, 3, 134, 4, 1, 0, 124, 2, 124, 0, 100, 2, 60, 0, 0, 0,
			100, 0, 83, 0)},
	{"cached", "", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 1, 124, 0, 118, 1, 114, 21, 2, 0, 124, 2, 166, 0, 0,
			0, 171, 0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 0, 123, 3, 86, 0, 151, 3,
			134, 4, 124, 0, 124, 1, 60, 0, 0, 0, 100, 0, 83, 0, 100, 0, 83, 0)},
};
static const char names_3_12[] = "CACHE\000"
				 "POP_TOP\000"
				 "PUSH_NULL\000"
				 "INTERPRETER_EXIT\000"
				 "END_FOR\000"
				 "END_SEND\000"
				 "NOP\000"
				 "UNARY_NEGATIVE\000"
				 "UNARY_NOT\000"
				 "UNARY_INVERT\000"
				 "RESERVED\000"
				 "BINARY_SUBSCR\000"
				 "BINARY_SLICE\000"
				 "STORE_SLICE\000"
				 "GET_LEN\000"
				 "MATCH_MAPPING\000"
				 "MATCH_SEQUENCE\000"
				 "MATCH_KEYS\000"
				 "PUSH_EXC_INFO\000"
				 "CHECK_EXC_MATCH\000"
				 "CHECK_EG_MATCH\000"
				 "WITH_EXCEPT_START\000"
				 "GET_AITER\000"
				 "GET_ANEXT\000"
				 "BEFORE_ASYNC_WITH\000"
				 "BEFORE_WITH\000"
				 "END_ASYNC_FOR\000"
				 "CLEANUP_THROW\000"
				 "STORE_SUBSCR\000"
				 "DELETE_SUBSCR\000"
				 "GET_ITER\000"
				 "GET_YIELD_FROM_ITER\000"
				 "LOAD_BUILD_CLASS\000"
				 "LOAD_ASSERTION_ERROR\000"
				 "RETURN_GENERATOR\000"
				 "RETURN_VALUE\000"
				 "SETUP_ANNOTATIONS\000"
				 "LOAD_LOCALS\000"
				 "POP_EXCEPT\000"
				 "STORE_NAME\000"
				 "DELETE_NAME\000"
				 "UNPACK_SEQUENCE\000"
				 "FOR_ITER\000"
				 "UNPACK_EX\000"
				 "STORE_ATTR\000"
				 "DELETE_ATTR\000"
				 "STORE_GLOBAL\000"
				 "DELETE_GLOBAL\000"
				 "SWAP\000"
				 "LOAD_CONST\000"
				 "LOAD_NAME\000"
				 "BUILD_TUPLE\000"
				 "BUILD_LIST\000"
				 "BUILD_SET\000"
				 "BUILD_MAP\000"
				 "LOAD_ATTR\000"
				 "COMPARE_OP\000"
				 "IMPORT_NAME\000"
				 "IMPORT_FROM\000"
				 "JUMP_FORWARD\000"
				 "POP_JUMP_IF_FALSE\000"
				 "POP_JUMP_IF_TRUE\000"
				 "LOAD_GLOBAL\000"
				 "IS_OP\000"
				 "CONTAINS_OP\000"
				 "RERAISE\000"
				 "COPY\000"
				 "RETURN_CONST\000"
				 "BINARY_OP\000"
				 "SEND\000"
				 "LOAD_FAST\000"
				 "STORE_FAST\000"
				 "DELETE_FAST\000"
				 "LOAD_FAST_CHECK\000"
				 "POP_JUMP_IF_NOT_NONE\000"
				 "POP_JUMP_IF_NONE\000"
				 "RAISE_VARARGS\000"
				 "GET_AWAITABLE\000"
				 "MAKE_FUNCTION\000"
				 "BUILD_SLICE\000"
				 "JUMP_BACKWARD_NO_INTERRUPT\000"
				 "MAKE_CELL\000"
				 "LOAD_CLOSURE\000"
				 "LOAD_DEREF\000"
				 "STORE_DEREF\000"
				 "DELETE_DEREF\000"
				 "JUMP_BACKWARD\000"
				 "LOAD_SUPER_ATTR\000"
				 "CALL_FUNCTION_EX\000"
				 "LOAD_FAST_AND_CLEAR\000"
				 "EXTENDED_ARG\000"
				 "LIST_APPEND\000"
				 "SET_ADD\000"
				 "MAP_ADD\000"
				 "COPY_FREE_VARS\000"
				 "YIELD_VALUE\000"
				 "RESUME\000"
				 "MATCH_CLASS\000"
				 "FORMAT_VALUE\000"
				 "BUILD_CONST_KEY_MAP\000"
				 "BUILD_STRING\000"
				 "LIST_EXTEND\000"
				 "SET_UPDATE\000"
				 "DICT_MERGE\000"
				 "DICT_UPDATE\000"
				 "CALL\000"
				 "KW_NAMES\000"
				 "CALL_INTRINSIC_1\000"
				 "CALL_INTRINSIC_2\000"
				 "LOAD_FROM_DICT_OR_GLOBALS\000"
				 "LOAD_FROM_DICT_OR_DEREF\000"
				 "INSTRUMENTED_LOAD_SUPER_ATTR\000"
				 "INSTRUMENTED_POP_JUMP_IF_NONE\000"
				 "INSTRUMENTED_POP_JUMP_IF_NOT_NONE\000"
				 "INSTRUMENTED_RESUME\000"
				 "INSTRUMENTED_CALL\000"
				 "INSTRUMENTED_RETURN_VALUE\000"
				 "INSTRUMENTED_YIELD_VALUE\000"
				 "INSTRUMENTED_CALL_FUNCTION_EX\000"
				 "INSTRUMENTED_JUMP_FORWARD\000"
				 "INSTRUMENTED_JUMP_BACKWARD\000"
				 "INSTRUMENTED_RETURN_CONST\000"
				 "INSTRUMENTED_FOR_ITER\000"
				 "INSTRUMENTED_POP_JUMP_IF_FALSE\000"
				 "INSTRUMENTED_POP_JUMP_IF_TRUE\000"
				 "INSTRUMENTED_END_FOR\000"
				 "INSTRUMENTED_END_SEND\000"
				 "INSTRUMENTED_INSTRUCTION\000"
				 "INSTRUMENTED_LINE\000";
static const unsigned char numbers_3_12[] = {0, 1, 2, 3, 4, 5, 9, 11, 12, 15, 17, 25, 26, 27, 30,
	31, 32, 33, 35, 36, 37, 49, 50, 51, 52, 53, 54, 55, 60, 61, 68, 69, 71, 74, 75, 83, 85, 87,
	89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108,
	109, 110, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129,
	130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147,
	149, 150, 151, 152, 155, 156, 157, 162, 163, 164, 165, 171, 172, 173, 174, 175, 176, 237,
	238, 239, 240, 241, 242, 243, 244, 245, 246, 247, 248, 249, 250, 251, 252, 253, 254};
static const struct sample samples_3_12[] = {
	{"plain", "counter", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 1, 2, 0, 124, 0, 171,
			0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 1, 123, 3, 0, 0, 150, 2, 151, 3, 134, 5,
			5, 0, 1, 0, 124, 1, 100, 2, 122, 0, 0, 0, 97, 0, 121, 1, 55, 0, 140, 10,
			173, 3, 119, 1)},
	{"augmented", "self.total", NAMES("total\000"), NAMES("self\000value\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 120, 1, 106, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 0, 0, 2, 0, 124, 1, 171, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 1,
			123, 3, 0, 0, 150, 2, 151, 3, 134, 5, 5, 0, 122, 13, 0, 0, 99, 2, 95, 0, 0,
			0, 0, 0, 0, 0, 0, 0, 121, 1, 55, 0, 140, 12, 173, 3, 119, 1)},
	{"attribute", "state.inner.total", NAMES("inner\000total\000"),
		NAMES("state\000value\000before\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 106, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 106, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			125, 2, 2, 0, 124, 1, 171, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 1, 123, 3, 0,
			0, 150, 2, 151, 3, 134, 5, 5, 0, 1, 0, 124, 2, 100, 2, 122, 0, 0, 0, 124, 0,
			106, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 95, 1, 0, 0,
			0, 0, 0, 0, 0, 0, 121, 1, 55, 0, 140, 25, 173, 3, 119, 1)},
	{"item", "rows[...]", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 100, 1, 25, 0, 0, 0, 125, 2, 2, 0, 124, 1, 171, 0,
			0, 0, 0, 0, 0, 0, 131, 0, 100, 2, 123, 3, 0, 0, 150, 2, 151, 3, 134, 5, 5,
			0, 1, 0, 124, 2, 100, 3, 122, 0, 0, 0, 124, 0, 100, 1, 60, 0, 0, 0, 121, 2,
			55, 0, 140, 13, 173, 3, 119, 1)},
	{"item_augmented", "rows[...]", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 124, 1, 120, 2, 120, 2, 25, 0, 0, 0, 2, 0, 124, 2,
			171, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 1, 123, 3, 0, 0, 150, 2, 151, 3, 134,
			5, 5, 0, 122, 13, 0, 0, 99, 3, 99, 2, 60, 0, 0, 0, 121, 1, 55, 0, 140, 10,
			173, 3, 119, 1)},
	{"through_locals", "counter", NAMES("counter\000max\000"),
		NAMES("value\000a\000b\000c\000_\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 1, 125, 2, 125, 1,
			124, 1, 124, 2, 122, 5, 0, 0, 125, 3, 2, 0, 124, 0, 171, 0, 0, 0, 0, 0, 0,
			0, 50, 0, 51, 0, 100, 2, 123, 3, 0, 0, 150, 3, 151, 3, 134, 5, 5, 0, 125, 4,
			140, 10, 55, 0, 140, 5, 54, 0, 116, 3, 0, 0, 0, 0, 0, 0, 0, 0, 124, 3, 100,
			3, 171, 2, 0, 0, 0, 0, 0, 0, 97, 0, 121, 2, 173, 3, 119, 1)},
	{"guarded", "counter guarded", NAMES("counter\000"), NAMES("lock\000value\000seen\000"), 0,
		0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 52, 0, 131, 1, 100, 1, 123, 3, 0, 0, 150, 2, 151,
			3, 134, 5, 5, 0, 1, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 2, 2, 0, 124, 1,
			171, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 1, 123, 3, 0, 0, 150, 3, 151, 3, 134,
			5, 5, 0, 1, 0, 124, 2, 100, 2, 122, 0, 0, 0, 97, 0, 100, 1, 100, 1, 100, 1,
			171, 2, 0, 0, 0, 0, 0, 0, 131, 2, 100, 1, 123, 3, 0, 0, 150, 2, 151, 3, 134,
			5, 5, 0, 1, 0, 121, 1, 55, 0, 140, 47, 55, 0, 140, 28, 55, 0, 140, 9, 35, 0,
			49, 0, 131, 2, 100, 1, 123, 4, 0, 0, 150, 3, 151, 3, 134, 5, 55, 0, 5, 0,
			115, 1, 119, 2, 1, 0, 89, 0, 1, 0, 1, 0, 121, 1, 120, 3, 89, 0, 119, 1, 173,
			3, 119, 1)},
	{"acquired", "counter guarded", NAMES("acquire\000counter\000"),
		NAMES("lock\000value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 106, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 171, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 1, 123, 3, 0, 0, 150, 2,
			151, 3, 134, 5, 5, 0, 1, 0, 116, 2, 0, 0, 0, 0, 0, 0, 0, 0, 125, 2, 2, 0,
			124, 1, 171, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 1, 123, 3, 0, 0, 150, 2, 151,
			3, 134, 5, 5, 0, 1, 0, 124, 2, 100, 2, 122, 0, 0, 0, 97, 1, 121, 1, 55, 0,
			140, 31, 55, 0, 140, 12, 173, 3, 119, 1)},
	{"inner", "total", NAMES(""), NAMES("value\000seen\000total\000"), 0, 0,
		CODE(149, 1, 75, 0, 1, 0, 151, 0, 137, 2, 125, 1, 2, 0, 124, 0, 171, 0, 0, 0, 0, 0,
			0, 0, 131, 0, 100, 1, 123, 3, 0, 0, 150, 2, 151, 3, 134, 5, 5, 0, 1, 0, 124,
			1, 100, 2, 122, 0, 0, 0, 138, 2, 121, 1, 55, 0, 140, 10, 173, 3, 119, 1)},
	{"read_after", "", NAMES("counter\000"), NAMES("value\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 2, 0, 124, 0, 171, 0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 0,
			123, 3, 0, 0, 150, 2, 151, 3, 134, 5, 5, 0, 1, 0, 116, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 100, 1, 122, 0, 0, 0, 97, 0, 121, 0, 55, 0, 140, 14, 173, 3, 119, 1)},
	{"read_again", "", NAMES("counter\000"), NAMES("value\000before\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 1, 2, 0, 124, 0, 171,
			0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 0, 123, 3, 0, 0, 150, 2, 151, 3, 134, 5,
			5, 0, 1, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 124, 1, 122, 0, 0, 0, 97, 0,
			121, 0, 55, 0, 140, 14, 173, 3, 119, 1)},
	{"other_name", "", NAMES("counter\000other\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 1, 2, 0, 124, 0, 171,
			0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 0, 123, 3, 0, 0, 150, 2, 151, 3, 134, 5,
			5, 0, 1, 0, 124, 1, 100, 1, 122, 0, 0, 0, 97, 1, 121, 0, 55, 0, 140, 10,
			173, 3, 119, 1)},
	{"local", "", NAMES(""), NAMES("value\000seen\000counter\000"), 0, 0,
		CODE(135, 2, 75, 0, 1, 0, 151, 0, 100, 1, 138, 2, 137, 2, 125, 1, 2, 0, 124, 0, 171,
			0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 0, 123, 3, 0, 0, 150, 2, 151, 3, 134, 5,
			5, 0, 1, 0, 124, 1, 100, 2, 122, 0, 0, 0, 138, 2, 136, 2, 102, 1, 100, 3,
			132, 8, 83, 0, 55, 0, 140, 14, 173, 3, 119, 1)},
	{"overwritten", "", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 125, 1, 2, 0, 124, 0, 171,
			0, 0, 0, 0, 0, 0, 0, 131, 0, 100, 0, 123, 3, 0, 0, 150, 2, 151, 3, 134, 5,
			5, 0, 125, 1, 124, 1, 97, 0, 121, 0, 55, 0, 140, 7, 173, 3, 119, 1)},
	{"other_item", "", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 0, 100, 1, 25, 0, 0, 0, 125, 2, 2, 0, 124, 1, 171, 0,
			0, 0, 0, 0, 0, 0, 131, 0, 100, 0, 123, 3, 0, 0, 150, 2, 151, 3, 134, 5, 5,
			0, 1, 0, 124, 2, 124, 0, 100, 2, 60, 0, 0, 0, 121, 0, 55, 0, 140, 10, 173,
			3, 119, 1)},
	{"cached", "", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(75, 0, 1, 0, 151, 0, 124, 1, 124, 0, 118, 1, 114, 19, 2, 0, 124, 2, 171, 0, 0,
			0, 0, 0, 0, 0, 131, 0, 100, 0, 123, 3, 0, 0, 150, 2, 151, 3, 134, 5, 5, 0,
			124, 0, 124, 1, 60, 0, 0, 0, 121, 0, 121, 0, 55, 0, 140, 9, 173, 3, 119,
			1)},
};
static const char names_3_13[] = "CACHE\000"
				 "RESERVED\000"
				 "RESUME\000"
				 "INSTRUMENTED_LINE\000"
				 "BEFORE_ASYNC_WITH\000"
				 "BEFORE_WITH\000"
				 "BINARY_SLICE\000"
				 "BINARY_SUBSCR\000"
				 "CHECK_EG_MATCH\000"
				 "CHECK_EXC_MATCH\000"
				 "CLEANUP_THROW\000"
				 "DELETE_SUBSCR\000"
				 "END_ASYNC_FOR\000"
				 "END_FOR\000"
				 "END_SEND\000"
				 "EXIT_INIT_CHECK\000"
				 "FORMAT_SIMPLE\000"
				 "FORMAT_WITH_SPEC\000"
				 "GET_AITER\000"
				 "GET_ANEXT\000"
				 "GET_ITER\000"
				 "GET_LEN\000"
				 "GET_YIELD_FROM_ITER\000"
				 "INTERPRETER_EXIT\000"
				 "LOAD_ASSERTION_ERROR\000"
				 "LOAD_BUILD_CLASS\000"
				 "LOAD_LOCALS\000"
				 "MAKE_FUNCTION\000"
				 "MATCH_KEYS\000"
				 "MATCH_MAPPING\000"
				 "MATCH_SEQUENCE\000"
				 "NOP\000"
				 "POP_EXCEPT\000"
				 "POP_TOP\000"
				 "PUSH_EXC_INFO\000"
				 "PUSH_NULL\000"
				 "RETURN_GENERATOR\000"
				 "RETURN_VALUE\000"
				 "SETUP_ANNOTATIONS\000"
				 "STORE_SLICE\000"
				 "STORE_SUBSCR\000"
				 "TO_BOOL\000"
				 "UNARY_INVERT\000"
				 "UNARY_NEGATIVE\000"
				 "UNARY_NOT\000"
				 "WITH_EXCEPT_START\000"
				 "BINARY_OP\000"
				 "BUILD_CONST_KEY_MAP\000"
				 "BUILD_LIST\000"
				 "BUILD_MAP\000"
				 "BUILD_SET\000"
				 "BUILD_SLICE\000"
				 "BUILD_STRING\000"
				 "BUILD_TUPLE\000"
				 "CALL\000"
				 "CALL_FUNCTION_EX\000"
				 "CALL_INTRINSIC_1\000"
				 "CALL_INTRINSIC_2\000"
				 "CALL_KW\000"
				 "COMPARE_OP\000"
				 "CONTAINS_OP\000"
				 "CONVERT_VALUE\000"
				 "COPY\000"
				 "COPY_FREE_VARS\000"
				 "DELETE_ATTR\000"
				 "DELETE_DEREF\000"
				 "DELETE_FAST\000"
				 "DELETE_GLOBAL\000"
				 "DELETE_NAME\000"
				 "DICT_MERGE\000"
				 "DICT_UPDATE\000"
				 "ENTER_EXECUTOR\000"
				 "EXTENDED_ARG\000"
				 "FOR_ITER\000"
				 "GET_AWAITABLE\000"
				 "IMPORT_FROM\000"
				 "IMPORT_NAME\000"
				 "IS_OP\000"
				 "JUMP_BACKWARD\000"
				 "JUMP_BACKWARD_NO_INTERRUPT\000"
				 "JUMP_FORWARD\000"
				 "LIST_APPEND\000"
				 "LIST_EXTEND\000"
				 "LOAD_ATTR\000"
				 "LOAD_CONST\000"
				 "LOAD_DEREF\000"
				 "LOAD_FAST\000"
				 "LOAD_FAST_AND_CLEAR\000"
				 "LOAD_FAST_CHECK\000"
				 "LOAD_FAST_LOAD_FAST\000"
				 "LOAD_FROM_DICT_OR_DEREF\000"
				 "LOAD_FROM_DICT_OR_GLOBALS\000"
				 "LOAD_GLOBAL\000"
				 "LOAD_NAME\000"
				 "LOAD_SUPER_ATTR\000"
				 "MAKE_CELL\000"
				 "MAP_ADD\000"
				 "MATCH_CLASS\000"
				 "POP_JUMP_IF_FALSE\000"
				 "POP_JUMP_IF_NONE\000"
				 "POP_JUMP_IF_NOT_NONE\000"
				 "POP_JUMP_IF_TRUE\000"
				 "RAISE_VARARGS\000"
				 "RERAISE\000"
				 "RETURN_CONST\000"
				 "SEND\000"
				 "SET_ADD\000"
				 "SET_FUNCTION_ATTRIBUTE\000"
				 "SET_UPDATE\000"
				 "STORE_ATTR\000"
				 "STORE_DEREF\000"
				 "STORE_FAST\000"
				 "STORE_FAST_LOAD_FAST\000"
				 "STORE_FAST_STORE_FAST\000"
				 "STORE_GLOBAL\000"
				 "STORE_NAME\000"
				 "SWAP\000"
				 "UNPACK_EX\000"
				 "UNPACK_SEQUENCE\000"
				 "YIELD_VALUE\000"
				 "INSTRUMENTED_RESUME\000"
				 "INSTRUMENTED_END_FOR\000"
				 "INSTRUMENTED_END_SEND\000"
				 "INSTRUMENTED_RETURN_VALUE\000"
				 "INSTRUMENTED_RETURN_CONST\000"
				 "INSTRUMENTED_YIELD_VALUE\000"
				 "INSTRUMENTED_LOAD_SUPER_ATTR\000"
				 "INSTRUMENTED_FOR_ITER\000"
				 "INSTRUMENTED_CALL\000"
				 "INSTRUMENTED_CALL_KW\000"
				 "INSTRUMENTED_CALL_FUNCTION_EX\000"
				 "INSTRUMENTED_INSTRUCTION\000"
				 "INSTRUMENTED_JUMP_FORWARD\000"
				 "INSTRUMENTED_JUMP_BACKWARD\000"
				 "INSTRUMENTED_POP_JUMP_IF_TRUE\000"
				 "INSTRUMENTED_POP_JUMP_IF_FALSE\000"
				 "INSTRUMENTED_POP_JUMP_IF_NONE\000"
				 "INSTRUMENTED_POP_JUMP_IF_NOT_NONE\000";
static const unsigned char numbers_3_13[] = {0, 17, 149, 254, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12,
	13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36,
	37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59,
	60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82,
	83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104,
	105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 236, 237, 238, 239,
	240, 241, 242, 243, 244, 245, 246, 247, 248, 249, 250, 251, 252, 253};
static const struct sample samples_3_13[] = {
	{"plain", "counter", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 110, 1, 85, 0, 34, 0, 53,
			0, 0, 0, 0, 0, 0, 0, 73, 0, 83, 1, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12,
			0, 32, 0, 85, 1, 83, 2, 45, 0, 0, 0, 113, 0, 103, 1, 8, 0, 78, 10, 55, 3,
			102, 1)},
	{"augmented", "self.total", NAMES("total\000"), NAMES("self\000value\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 85, 0, 61, 1, 82, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 0, 85, 1, 34, 0, 53, 0, 0, 0, 0, 0, 0, 0, 73, 0, 83, 1, 104,
			3, 0, 0, 118, 1, 149, 3, 78, 5, 12, 0, 45, 13, 0, 0, 115, 2, 108, 0, 0, 0,
			0, 0, 0, 0, 0, 0, 103, 1, 8, 0, 78, 12, 55, 3, 102, 1)},
	{"attribute", "state.inner.total", NAMES("inner\000total\000"),
		NAMES("state\000value\000before\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 85, 0, 82, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 82, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			110, 2, 85, 1, 34, 0, 53, 0, 0, 0, 0, 0, 0, 0, 73, 0, 83, 1, 104, 3, 0, 0,
			118, 1, 149, 3, 78, 5, 12, 0, 32, 0, 85, 2, 83, 2, 45, 0, 0, 0, 85, 0, 82,
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 108, 1, 0, 0, 0, 0,
			0, 0, 0, 0, 103, 1, 8, 0, 78, 25, 55, 3, 102, 1)},
	{"item", "rows[...]", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 85, 0, 83, 1, 5, 0, 0, 0, 110, 2, 85, 1, 34, 0, 53, 0, 0,
			0, 0, 0, 0, 0, 73, 0, 83, 2, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12, 0, 32,
			0, 85, 2, 83, 3, 45, 0, 0, 0, 85, 0, 83, 1, 39, 0, 0, 0, 103, 2, 8, 0, 78,
			13, 55, 3, 102, 1)},
	{"item_augmented", "rows[...]", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 88, 1, 61, 2, 61, 2, 5, 0, 0, 0, 85, 2, 34, 0, 53, 0, 0,
			0, 0, 0, 0, 0, 73, 0, 83, 1, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12, 0, 45,
			13, 0, 0, 115, 3, 115, 2, 39, 0, 0, 0, 103, 1, 8, 0, 78, 10, 55, 3, 102,
			1)},
	{"through_locals", "counter", NAMES("counter\000max\000"),
		NAMES("value\000a\000b\000c\000_\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 83, 1, 112, 33, 88, 18,
			45, 5, 0, 0, 110, 3, 85, 0, 34, 0, 53, 0, 0, 0, 0, 0, 0, 0, 16, 0, 18, 0,
			83, 2, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12, 0, 110, 4, 77, 11, 0, 0, 8,
			0, 78, 6, 10, 0, 91, 3, 0, 0, 0, 0, 0, 0, 0, 0, 85, 3, 83, 3, 53, 2, 0, 0,
			0, 0, 0, 0, 113, 0, 103, 2, 55, 3, 102, 1)},
	{"guarded", "counter guarded", NAMES("counter\000"), NAMES("lock\000value\000seen\000"), 0,
		0,
		CODE(35, 0, 32, 0, 149, 0, 85, 0, 1, 0, 73, 1, 83, 1, 104, 3, 0, 0, 118, 1, 149, 3,
			78, 5, 12, 0, 32, 0, 91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 110, 2, 85, 1, 34, 0,
			53, 0, 0, 0, 0, 0, 0, 0, 73, 0, 83, 1, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5,
			12, 0, 32, 0, 85, 2, 83, 2, 45, 0, 0, 0, 113, 0, 83, 1, 83, 1, 83, 1, 53, 2,
			0, 0, 0, 0, 0, 0, 73, 2, 83, 1, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12, 0,
			32, 0, 103, 1, 8, 0, 78, 47, 8, 0, 78, 28, 8, 0, 78, 9, 33, 0, 44, 0, 73, 2,
			83, 1, 104, 4, 0, 0, 118, 1, 149, 3, 78, 5, 8, 0, 12, 0, 40, 0, 0, 0, 0, 0,
			0, 0, 100, 1, 0, 0, 102, 2, 32, 0, 31, 0, 32, 0, 32, 0, 103, 1, 61, 3, 31,
			0, 102, 1, 55, 3, 102, 1)},
	{"acquired", "counter guarded", NAMES("acquire\000counter\000"),
		NAMES("lock\000value\000seen\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 85, 0, 82, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 53, 0, 0, 0, 0, 0, 0, 0, 73, 0, 83, 1, 104, 3, 0, 0, 118, 1,
			149, 3, 78, 5, 12, 0, 32, 0, 91, 2, 0, 0, 0, 0, 0, 0, 0, 0, 110, 2, 85, 1,
			34, 0, 53, 0, 0, 0, 0, 0, 0, 0, 73, 0, 83, 1, 104, 3, 0, 0, 118, 1, 149, 3,
			78, 5, 12, 0, 32, 0, 85, 2, 83, 2, 45, 0, 0, 0, 113, 1, 103, 1, 8, 0, 78,
			31, 8, 0, 78, 12, 55, 3, 102, 1)},
	{"inner", "total", NAMES(""), NAMES("value\000seen\000total\000"), 0, 0,
		CODE(62, 1, 35, 0, 32, 0, 149, 0, 84, 2, 110, 1, 85, 0, 34, 0, 53, 0, 0, 0, 0, 0, 0,
			0, 73, 0, 83, 1, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12, 0, 32, 0, 85, 1,
			83, 2, 45, 0, 0, 0, 109, 2, 103, 1, 8, 0, 78, 10, 55, 3, 102, 1)},
	{"read_after", "", NAMES("counter\000"), NAMES("value\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 85, 0, 34, 0, 53, 0, 0, 0, 0, 0, 0, 0, 73, 0, 83, 0, 104,
			3, 0, 0, 118, 1, 149, 3, 78, 5, 12, 0, 32, 0, 91, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			83, 1, 45, 0, 0, 0, 113, 0, 103, 0, 8, 0, 78, 14, 55, 3, 102, 1)},
	{"read_again", "", NAMES("counter\000"), NAMES("value\000before\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 110, 1, 85, 0, 34, 0, 53,
			0, 0, 0, 0, 0, 0, 0, 73, 0, 83, 0, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12,
			0, 32, 0, 91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 85, 1, 45, 0, 0, 0, 113, 0, 103, 0,
			8, 0, 78, 14, 55, 3, 102, 1)},
	{"other_name", "", NAMES("counter\000other\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 110, 1, 85, 0, 34, 0, 53,
			0, 0, 0, 0, 0, 0, 0, 73, 0, 83, 0, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12,
			0, 32, 0, 85, 1, 83, 1, 45, 0, 0, 0, 113, 1, 103, 0, 8, 0, 78, 10, 55, 3,
			102, 1)},
	{"local", "", NAMES(""), NAMES("value\000seen\000counter\000"), 0, 0,
		CODE(94, 2, 35, 0, 32, 0, 149, 0, 83, 1, 109, 2, 84, 2, 110, 1, 85, 0, 34, 0, 53, 0,
			0, 0, 0, 0, 0, 0, 73, 0, 83, 0, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12, 0,
			32, 0, 85, 1, 83, 2, 45, 0, 0, 0, 109, 2, 85, 2, 52, 1, 83, 3, 26, 0, 106,
			8, 36, 0, 8, 0, 78, 15, 55, 3, 102, 1)},
	{"overwritten", "", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 110, 1, 85, 0, 34, 0, 53,
			0, 0, 0, 0, 0, 0, 0, 73, 0, 83, 0, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12,
			0, 110, 1, 85, 1, 113, 0, 103, 0, 8, 0, 78, 7, 55, 3, 102, 1)},
	{"other_item", "", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 85, 0, 83, 1, 5, 0, 0, 0, 110, 2, 85, 1, 34, 0, 53, 0, 0,
			0, 0, 0, 0, 0, 73, 0, 83, 0, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12, 0, 32,
			0, 88, 32, 83, 2, 39, 0, 0, 0, 103, 0, 8, 0, 78, 9, 55, 3, 102, 1)},
	{"cached", "", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(35, 0, 32, 0, 149, 0, 88, 16, 59, 1, 0, 0, 97, 18, 0, 0, 85, 2, 34, 0, 53, 0,
			0, 0, 0, 0, 0, 0, 73, 0, 83, 0, 104, 3, 0, 0, 118, 1, 149, 3, 78, 5, 12, 0,
			88, 1, 39, 0, 0, 0, 103, 0, 103, 0, 8, 0, 78, 8, 55, 3, 102, 1)},
};
static const char names_3_14[] = "CACHE\000"
				 "RESERVED\000"
				 "RESUME\000"
				 "INSTRUMENTED_LINE\000"
				 "ENTER_EXECUTOR\000"
				 "BINARY_SLICE\000"
				 "BUILD_TEMPLATE\000"
				 "CALL_FUNCTION_EX\000"
				 "CHECK_EG_MATCH\000"
				 "CHECK_EXC_MATCH\000"
				 "CLEANUP_THROW\000"
				 "DELETE_SUBSCR\000"
				 "END_FOR\000"
				 "END_SEND\000"
				 "EXIT_INIT_CHECK\000"
				 "FORMAT_SIMPLE\000"
				 "FORMAT_WITH_SPEC\000"
				 "GET_AITER\000"
				 "GET_ANEXT\000"
				 "GET_ITER\000"
				 "GET_LEN\000"
				 "GET_YIELD_FROM_ITER\000"
				 "INTERPRETER_EXIT\000"
				 "LOAD_BUILD_CLASS\000"
				 "LOAD_LOCALS\000"
				 "MAKE_FUNCTION\000"
				 "MATCH_KEYS\000"
				 "MATCH_MAPPING\000"
				 "MATCH_SEQUENCE\000"
				 "NOP\000"
				 "NOT_TAKEN\000"
				 "POP_EXCEPT\000"
				 "POP_ITER\000"
				 "POP_TOP\000"
				 "PUSH_EXC_INFO\000"
				 "PUSH_NULL\000"
				 "RETURN_GENERATOR\000"
				 "RETURN_VALUE\000"
				 "SETUP_ANNOTATIONS\000"
				 "STORE_SLICE\000"
				 "STORE_SUBSCR\000"
				 "TO_BOOL\000"
				 "UNARY_INVERT\000"
				 "UNARY_NEGATIVE\000"
				 "UNARY_NOT\000"
				 "WITH_EXCEPT_START\000"
				 "BINARY_OP\000"
				 "BUILD_INTERPOLATION\000"
				 "BUILD_LIST\000"
				 "BUILD_MAP\000"
				 "BUILD_SET\000"
				 "BUILD_SLICE\000"
				 "BUILD_STRING\000"
				 "BUILD_TUPLE\000"
				 "CALL\000"
				 "CALL_INTRINSIC_1\000"
				 "CALL_INTRINSIC_2\000"
				 "CALL_KW\000"
				 "COMPARE_OP\000"
				 "CONTAINS_OP\000"
				 "CONVERT_VALUE\000"
				 "COPY\000"
				 "COPY_FREE_VARS\000"
				 "DELETE_ATTR\000"
				 "DELETE_DEREF\000"
				 "DELETE_FAST\000"
				 "DELETE_GLOBAL\000"
				 "DELETE_NAME\000"
				 "DICT_MERGE\000"
				 "DICT_UPDATE\000"
				 "END_ASYNC_FOR\000"
				 "EXTENDED_ARG\000"
				 "FOR_ITER\000"
				 "GET_AWAITABLE\000"
				 "IMPORT_FROM\000"
				 "IMPORT_NAME\000"
				 "IS_OP\000"
				 "JUMP_BACKWARD\000"
				 "JUMP_BACKWARD_NO_INTERRUPT\000"
				 "JUMP_FORWARD\000"
				 "LIST_APPEND\000"
				 "LIST_EXTEND\000"
				 "LOAD_ATTR\000"
				 "LOAD_COMMON_CONSTANT\000"
				 "LOAD_CONST\000"
				 "LOAD_DEREF\000"
				 "LOAD_FAST\000"
				 "LOAD_FAST_AND_CLEAR\000"
				 "LOAD_FAST_BORROW\000"
				 "LOAD_FAST_BORROW_LOAD_FAST_BORROW\000"
				 "LOAD_FAST_CHECK\000"
				 "LOAD_FAST_LOAD_FAST\000"
				 "LOAD_FROM_DICT_OR_DEREF\000"
				 "LOAD_FROM_DICT_OR_GLOBALS\000"
				 "LOAD_GLOBAL\000"
				 "LOAD_NAME\000"
				 "LOAD_SMALL_INT\000"
				 "LOAD_SPECIAL\000"
				 "LOAD_SUPER_ATTR\000"
				 "MAKE_CELL\000"
				 "MAP_ADD\000"
				 "MATCH_CLASS\000"
				 "POP_JUMP_IF_FALSE\000"
				 "POP_JUMP_IF_NONE\000"
				 "POP_JUMP_IF_NOT_NONE\000"
				 "POP_JUMP_IF_TRUE\000"
				 "RAISE_VARARGS\000"
				 "RERAISE\000"
				 "SEND\000"
				 "SET_ADD\000"
				 "SET_FUNCTION_ATTRIBUTE\000"
				 "SET_UPDATE\000"
				 "STORE_ATTR\000"
				 "STORE_DEREF\000"
				 "STORE_FAST\000"
				 "STORE_FAST_LOAD_FAST\000"
				 "STORE_FAST_STORE_FAST\000"
				 "STORE_GLOBAL\000"
				 "STORE_NAME\000"
				 "SWAP\000"
				 "UNPACK_EX\000"
				 "UNPACK_SEQUENCE\000"
				 "YIELD_VALUE\000"
				 "INSTRUMENTED_END_FOR\000"
				 "INSTRUMENTED_POP_ITER\000"
				 "INSTRUMENTED_END_SEND\000"
				 "INSTRUMENTED_FOR_ITER\000"
				 "INSTRUMENTED_INSTRUCTION\000"
				 "INSTRUMENTED_JUMP_FORWARD\000"
				 "INSTRUMENTED_NOT_TAKEN\000"
				 "INSTRUMENTED_POP_JUMP_IF_TRUE\000"
				 "INSTRUMENTED_POP_JUMP_IF_FALSE\000"
				 "INSTRUMENTED_POP_JUMP_IF_NONE\000"
				 "INSTRUMENTED_POP_JUMP_IF_NOT_NONE\000"
				 "INSTRUMENTED_RESUME\000"
				 "INSTRUMENTED_RETURN_VALUE\000"
				 "INSTRUMENTED_YIELD_VALUE\000"
				 "INSTRUMENTED_END_ASYNC_FOR\000"
				 "INSTRUMENTED_LOAD_SUPER_ATTR\000"
				 "INSTRUMENTED_CALL\000"
				 "INSTRUMENTED_CALL_KW\000"
				 "INSTRUMENTED_CALL_FUNCTION_EX\000"
				 "INSTRUMENTED_JUMP_BACKWARD\000";
static const unsigned char numbers_3_14[] = {0, 17, 128, 254, 255, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11,
	12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35,
	36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58,
	59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81,
	82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103,
	104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 234,
	235, 236, 237, 238, 239, 240, 241, 242, 243, 244, 245, 246, 247, 248, 249, 250, 251, 252,
	253};
static const struct sample samples_3_14[] = {
	{"plain", "counter", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 112, 1, 86, 0, 33, 0, 52,
			0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 1, 106, 3, 0, 0, 120, 1, 128, 3, 76, 5, 10,
			0, 31, 0, 86, 1, 94, 1, 44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 115, 0, 82, 1,
			35, 0, 7, 0, 76, 15, 53, 3, 105, 1)},
	{"augmented", "self.total", NAMES("total\000"), NAMES("self\000value\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 84, 0, 59, 1, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 0, 86, 1, 33, 0, 52, 0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 1, 106,
			3, 0, 0, 120, 1, 128, 3, 76, 5, 10, 0, 44, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			117, 2, 110, 0, 0, 0, 0, 0, 0, 0, 0, 0, 82, 1, 35, 0, 7, 0, 76, 17, 53, 3,
			105, 1)},
	{"attribute", "state.inner.total", NAMES("inner\000total\000"),
		NAMES("state\000value\000before\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 86, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 80, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			112, 2, 86, 1, 33, 0, 52, 0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 1, 106, 3, 0, 0,
			120, 1, 128, 3, 76, 5, 10, 0, 31, 0, 86, 2, 94, 1, 44, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 86, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 110, 1, 0, 0, 0, 0, 0, 0, 0, 0, 82, 1, 35, 0, 7, 0, 76, 30, 53, 3, 105,
			1)},
	{"item", "rows[...]", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 86, 0, 82, 1, 44, 26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 112,
			2, 86, 1, 33, 0, 52, 0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 2, 106, 3, 0, 0, 120,
			1, 128, 3, 76, 5, 10, 0, 31, 0, 86, 2, 94, 1, 44, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 86, 0, 82, 1, 38, 0, 0, 0, 82, 2, 35, 0, 7, 0, 76, 18, 53, 3, 105,
			1)},
	{"item_augmented", "rows[...]", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 89, 1, 59, 2, 59, 2, 44, 26, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 86, 2, 33, 0, 52, 0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 1, 106, 3, 0, 0, 120,
			1, 128, 3, 76, 5, 10, 0, 44, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 117, 3, 117,
			2, 38, 0, 0, 0, 82, 1, 35, 0, 7, 0, 76, 15, 53, 3, 105, 1)},
	{"through_locals", "counter", NAMES("counter\000max\000"),
		NAMES("value\000a\000b\000c\000_\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 94, 2, 114, 33, 87, 18,
			44, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 112, 3, 86, 0, 33, 0, 52, 0, 0, 0, 0,
			0, 0, 0, 14, 0, 15, 0, 82, 1, 106, 3, 0, 0, 120, 1, 128, 3, 76, 5, 10, 0,
			28, 0, 112, 4, 75, 12, 0, 0, 7, 0, 76, 7, 68, 8, 92, 3, 0, 0, 0, 0, 0, 0, 0,
			0, 84, 3, 94, 1, 52, 2, 0, 0, 0, 0, 0, 0, 115, 0, 82, 1, 35, 0, 53, 3, 105,
			1)},
	{"guarded", "counter guarded", NAMES("counter\000"), NAMES("lock\000value\000seen\000"), 0,
		0,
		CODE(34, 0, 31, 0, 128, 0, 84, 0, 59, 1, 95, 3, 117, 2, 117, 3, 95, 2, 52, 0, 0, 0,
			0, 0, 0, 0, 71, 1, 82, 1, 106, 3, 0, 0, 120, 1, 128, 3, 76, 5, 10, 0, 31, 0,
			92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 112, 2, 86, 1, 33, 0, 52, 0, 0, 0, 0, 0, 0,
			0, 71, 0, 82, 1, 106, 3, 0, 0, 120, 1, 128, 3, 76, 5, 10, 0, 31, 0, 86, 2,
			94, 1, 44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 115, 0, 82, 1, 82, 1, 82, 1, 52,
			3, 0, 0, 0, 0, 0, 0, 71, 2, 82, 1, 106, 3, 0, 0, 120, 1, 128, 3, 76, 5, 10,
			0, 31, 0, 82, 1, 35, 0, 7, 0, 76, 52, 7, 0, 76, 33, 7, 0, 76, 10, 32, 0, 43,
			0, 71, 2, 82, 1, 106, 4, 0, 0, 120, 1, 128, 3, 76, 5, 7, 0, 10, 0, 39, 0, 0,
			0, 0, 0, 0, 0, 103, 2, 0, 0, 28, 0, 105, 2, 31, 0, 29, 0, 31, 0, 31, 0, 31,
			0, 82, 1, 35, 0, 59, 3, 29, 0, 105, 1, 53, 3, 105, 1)},
	{"acquired", "counter guarded", NAMES("acquire\000counter\000"),
		NAMES("lock\000value\000seen\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 86, 0, 80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 52, 0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 1, 106, 3, 0, 0, 120, 1,
			128, 3, 76, 5, 10, 0, 31, 0, 92, 2, 0, 0, 0, 0, 0, 0, 0, 0, 112, 2, 86, 1,
			33, 0, 52, 0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 1, 106, 3, 0, 0, 120, 1, 128, 3,
			76, 5, 10, 0, 31, 0, 86, 2, 94, 1, 44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 115,
			1, 82, 1, 35, 0, 7, 0, 76, 36, 7, 0, 76, 17, 53, 3, 105, 1)},
	{"inner", "total", NAMES(""), NAMES("value\000seen\000total\000"), 0, 0,
		CODE(60, 1, 34, 0, 31, 0, 128, 0, 83, 2, 112, 1, 86, 0, 33, 0, 52, 0, 0, 0, 0, 0, 0,
			0, 71, 0, 82, 1, 106, 3, 0, 0, 120, 1, 128, 3, 76, 5, 10, 0, 31, 0, 86, 1,
			94, 1, 44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 111, 2, 82, 1, 35, 0, 7, 0, 76,
			15, 53, 3, 105, 1)},
	{"read_after", "", NAMES("counter\000"), NAMES("value\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 86, 0, 33, 0, 52, 0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 0, 106,
			3, 0, 0, 120, 1, 128, 3, 76, 5, 10, 0, 31, 0, 92, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			94, 1, 44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 115, 0, 82, 0, 35, 0, 7, 0, 76,
			19, 53, 3, 105, 1)},
	{"read_again", "", NAMES("counter\000"), NAMES("value\000before\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 112, 1, 86, 0, 33, 0, 52,
			0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 0, 106, 3, 0, 0, 120, 1, 128, 3, 76, 5, 10,
			0, 31, 0, 92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 86, 1, 44, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 115, 0, 82, 0, 35, 0, 7, 0, 76, 19, 53, 3, 105, 1)},
	{"other_name", "", NAMES("counter\000other\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 112, 1, 86, 0, 33, 0, 52,
			0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 0, 106, 3, 0, 0, 120, 1, 128, 3, 76, 5, 10,
			0, 31, 0, 86, 1, 94, 1, 44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 115, 1, 82, 0,
			35, 0, 7, 0, 76, 15, 53, 3, 105, 1)},
	{"local", "", NAMES(""), NAMES("value\000seen\000counter\000"), 0, 0,
		CODE(97, 2, 34, 0, 31, 0, 128, 0, 94, 0, 111, 2, 83, 2, 112, 1, 86, 0, 33, 0, 52, 0,
			0, 0, 0, 0, 0, 0, 71, 0, 82, 1, 106, 3, 0, 0, 120, 1, 128, 3, 76, 5, 10, 0,
			31, 0, 86, 1, 94, 1, 44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 111, 2, 86, 2, 51,
			1, 82, 2, 23, 0, 108, 8, 35, 0, 7, 0, 76, 19, 53, 3, 105, 1)},
	{"overwritten", "", NAMES("counter\000"), NAMES("value\000seen\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 112, 1, 86, 0, 33, 0, 52,
			0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 0, 106, 3, 0, 0, 120, 1, 128, 3, 76, 5, 10,
			0, 112, 1, 86, 1, 115, 0, 82, 0, 35, 0, 7, 0, 76, 8, 53, 3, 105, 1)},
	{"other_item", "", NAMES(""), NAMES("rows\000value\000seen\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 86, 0, 82, 0, 44, 26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 112,
			2, 86, 1, 33, 0, 52, 0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 1, 106, 3, 0, 0, 120,
			1, 128, 3, 76, 5, 10, 0, 31, 0, 87, 32, 82, 2, 38, 0, 0, 0, 82, 1, 35, 0, 7,
			0, 76, 10, 53, 3, 105, 1)},
	{"cached", "", NAMES(""), NAMES("rows\000key\000value\000"), 0, 0,
		CODE(34, 0, 31, 0, 128, 0, 87, 16, 57, 1, 0, 0, 100, 20, 0, 0, 28, 0, 86, 2, 33, 0,
			52, 0, 0, 0, 0, 0, 0, 0, 71, 0, 82, 0, 106, 3, 0, 0, 120, 1, 128, 3, 76, 5,
			10, 0, 87, 1, 38, 0, 0, 0, 82, 0, 35, 0, 82, 0, 35, 0, 7, 0, 76, 10, 53, 3,
			105, 1)},
};
#define VERSIONS                                                                                   \
	VERSION(3_8)                                                                               \
	VERSION(3_9) VERSION(3_10) VERSION(3_11) VERSION(3_12) VERSION(3_13) VERSION(3_14)
