# INPUT text file -> OUTPUT C header with `static const char NAME[]`. Line by line, so that no string literal grows long.
file(READ "${INPUT}" text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\t" "\\t" text "${text}")
string(REPLACE "\n" "\\n\"\n\t\"" text "${text}")
get_filename_component(from "${INPUT}" NAME)
file(WRITE "${OUTPUT}" "/* Made from ${from} by the build. */\nstatic const char ${NAME}[] =\n\t\"${text}\";\n")
