// The part of a language runtime that makes it a template, for test programs in C.
#pragma once

// Says 'R' on descriptor 3, then forks a clone for each order until there are no more. A clone
// calls run with the words of the order's environment (WORD=...) and exits with what it returns.
int serve_orders(int (*run)(int argc, char** argv));

// As a zygote, forks a program for each order, and returns in each of them; else does nothing.
void come_from_zygote(void);

// Takes the words (WORD=...) out of the environment.
char** take_words(int* count);

// In a child that was forked for an order: enters, and does so.
_Noreturn void be_clone(int (*run)(int argc, char** argv));
