<?php

// What a function wants to be done before its process becomes a template, and in each clone of it. An
// instance that is not cloned runs both, one after the other. Order as with AWS's SnapStart: before in
// reverse, after as registered.

declare(strict_types=1);

namespace Mayfly;

/** Has $hook(...$arguments) called before the snapshot; the last one registered comes first. */
function before_snapshot(callable $hook, mixed ...$arguments): void
{
    Hooks::$before[] = [$hook, $arguments];
}

/** Has $hook(...$arguments) called in each instance, before its first invocation. */
function after_restore(callable $hook, mixed ...$arguments): void
{
    Hooks::$after[] = [$hook, $arguments];
}

final class Hooks
{
    public static array $before = [];
    public static array $after = [];

    /** Throws InitError. */
    public static function runBefore(): void
    {
        while (self::$before) {
            self::run(...array_pop(self::$before));
        }
    }

    /** Throws InitError. */
    public static function runAfter(): void
    {
        while (self::$after) {
            self::run(...array_shift(self::$after));
        }
    }

    private static function run(callable $hook, array $arguments): void
    {
        try {
            $hook(...$arguments);
        } catch (\Throwable $error) {
            throw new InitError(Errors::describe($error));
        }
    }
}
