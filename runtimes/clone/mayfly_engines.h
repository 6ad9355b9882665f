/* The engines of PHP's extension random (8.2 and later) that were made without a seed: PHP has them
   draw one when they are made, and never again. PHP's own code cannot find them, so their
   constructors are watched in a template. In a process without PHP, or with another PHP, nothing
   happens. */
#ifndef MAYFLY_ENGINES_H
#define MAYFLY_ENGINES_H

/* Before the user's code is loaded. */
void mayfly_engines_watch(void);

/* How many were forgotten, because there were more than are kept. */
int mayfly_engines_lost(void);

/* What is made from now on is nobody else's. */
void mayfly_engines_stop(void);

/* In a clone: draws other seeds. */
void mayfly_engines_renew(void);

#endif
