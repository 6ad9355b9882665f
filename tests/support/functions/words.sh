#!/bin/sh
# A plain program: its input in capitals.
tr a-z A-Z
