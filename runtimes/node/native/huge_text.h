#pragma once

#include <cstddef>

namespace mayfly_node {

// Moves the code of the program (Node's own, 26 MB) from the file's pages to huge pages, as Node
// does with --use-largepages. A fork copies the mapping of a file without its pages, and each clone
// finds them again, one fault for 64 KB; a huge page comes along for one entry of a table. For a
// zygote, whose programs all have the same copy; only while no other thread runs code of the
// program. Bytes moved; 0: all is as it was, for example because the machine has no huge pages to
// give.
std::size_t move_text_to_huge_pages();

}  // namespace mayfly_node
