#!/bin/sh
# Reads the request body from standard input and writes the answer to standard output.
text=$(cat; printf x)
text=${text%x}
echo "counting" >&2
printf '%s' "$text" | wc -lwc | awk '{ printf "lines %d, words %d, bytes %d\n", $1, $2, $3 }'
