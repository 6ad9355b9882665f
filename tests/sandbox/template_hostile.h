// Templates that attack the clone path.
#pragma once

int be_hostile(const char* kind, int (*run)(int argc, char** argv));
