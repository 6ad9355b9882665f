<?php

declare(strict_types=1);

namespace Mayfly;

/** What the environment of the instance says. */
final class Settings
{
    public function __construct(
        public readonly string $handler,
        public readonly string $root,
        public readonly string $entry,
        public readonly int $concurrency,
    ) {
    }

    public static function fromEnvironment(): self
    {
        return new self(
            trim((string) getenv('_HANDLER')),
            getenv('LAMBDA_TASK_ROOT') ?: getcwd(),
            trim((string) getenv('MAYFLY_ENTRY')),
            max(0, (int) getenv('MAYFLY_CONCURRENCY')),
        );
    }
}

/** Loaded user code: target is called with (event, context). */
final class App
{
    public function __construct(
        public readonly \Closure $target,
        public readonly string $handler,
        public readonly Settings $settings,
        public array $notes,
    ) {
    }

    public function ready(): array
    {
        return [
            'model' => 'event',
            'handler' => $this->handler,
            'runtime' => 'PHP ' . PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION . '.' . PHP_RELEASE_VERSION,
            'concurrency' => min($this->settings->concurrency, 1),
            'notes' => $this->notes,
        ];
    }
}

/** Requires a file of the user's with nothing of ours in sight. */
function require_file(string $path): mixed
{
    return (static fn () => require func_get_arg(0))($path);
}

/** Finds the user's code and tells what it is. docs/guides/writing-functions.md has the rules. */
final class Load
{
    private const FILES = ['index', 'handler', 'lambda_function', 'main', 'app', 'function'];
    private const NAMES = ['handler', 'lambda_handler', 'main'];

    public static function load(Settings $settings): App
    {
        $autoload = $settings->root . '/vendor/autoload.php';
        if (is_file($autoload)) {
            self::import($settings, 'vendor/autoload');
        }
        return $settings->handler !== '' ? self::named($settings) : self::detect($settings);
    }

    private static function fail(string $type, string $message, array $trace = []): never
    {
        throw new InitError(Errors::fault("Runtime.$type", $message, $trace));
    }

    /** file.php, file.function, file.Class.method or file.Class::method, with slashes for folders. */
    private static function named(Settings $settings): App
    {
        $handler = str_starts_with($settings->handler, './') ? substr($settings->handler, 2) : $settings->handler;
        if (str_ends_with($handler, '.php')) {
            return self::fromFile($settings, substr($handler, 0, -4)) ?? self::nothingIn([substr($handler, 0, -4)]);
        }
        $slash = strrpos($handler, '/');
        $folder = $slash === false ? '' : substr($handler, 0, $slash + 1);
        $parts = preg_split('/\.|::/', substr($handler, strlen($folder)));
        if (count($parts) < 2 || count($parts) > 3 || in_array('', $parts, true)) {
            self::fail('MalformedHandlerName', "Bad handler '{$settings->handler}': expected file.php, file.function or file.Class.method");
        }
        $file = $folder . array_shift($parts);
        $returned = self::import($settings, $file);
        if (count($parts) === 1 && $parts[0] === 'handler' && !function_exists('handler') && self::isHandler($returned)) {
            return self::app($settings, $returned, $handler);
        }
        return self::app($settings, self::callableOf($parts, $handler, $file), $handler);
    }

    private static function callableOf(array $parts, string $handler, string $file): mixed
    {
        if (count($parts) === 1 && function_exists($parts[0])) {
            return $parts[0];
        }
        [$class, $method] = count($parts) === 1 ? [$parts[0], 'handle'] : $parts;
        $class = str_replace('/', '\\', $class);
        if (!class_exists($class)) {
            $what = count($parts) === 1 ? "function or class '{$parts[0]}'" : "class '$class'";
            self::fail('HandlerNotFound', "Handler '$handler': there is no $what in $file.php");
        }
        $method = !method_exists($class, $method) && count($parts) === 1 ? '__invoke' : $method;
        if (!method_exists($class, $method)) {
            self::fail('HandlerNotFound', "Handler '$handler': class '$class' has no method '$method'");
        }
        $isStatic = (new \ReflectionMethod($class, $method))->isStatic();
        return $isStatic ? [$class, $method] : [self::construct($class), $method];
    }

    private static function construct(string $class): object
    {
        try {
            return new $class();
        } catch (\Throwable $error) {
            self::report($error);
        }
    }

    private static function report(\Throwable $error): never
    {
        Logs::write(2, Errors::logTextOf($error));
        throw new InitError(Errors::describe($error));
    }

    private static function detect(Settings $settings): App
    {
        $files = self::candidates($settings);
        if ($files === []) {
            $names = implode(', ', array_map(static fn ($name) => "$name.php", self::FILES));
            self::fail('HandlerNotFound', "No PHP file found in the package: expected one of $names, or a single .php file; "
                . 'or name the handler, as in --handler file.function');
        }
        foreach ($files as $file) {
            $found = self::fromFile($settings, $file);
            if ($found !== null) {
                return $found;
            }
        }
        self::nothingIn($files);
    }

    private static function candidates(Settings $settings): array
    {
        if (str_ends_with($settings->entry, '.php')) {
            return [substr($settings->entry, 0, -4)];
        }
        $there = array_map(static fn ($path) => basename($path, '.php'), glob($settings->root . '/*.php') ?: []);
        $found = array_values(array_intersect(self::FILES, $there));
        return $found === [] && count($there) === 1 ? $there : $found;
    }

    private static function nothingIn(array $files): never
    {
        $names = implode(', ', array_map(static fn ($name) => "$name.php", $files));
        self::fail('HandlerNotFound', "No handler found in $names: return a function(\$event, \$context), or define "
            . 'function handler($event, $context); or name the handler, as in --handler file.function');
    }

    /** What a file returns, or the function that it defines: by name, else its only one. */
    private static function fromFile(Settings $settings, string $file): ?App
    {
        $before = get_defined_functions()['user'];
        $returned = self::import($settings, $file);
        if (self::isHandler($returned)) {
            return self::app($settings, $returned, $file . '.php');
        }
        $path = realpath("{$settings->root}/$file.php");
        $own = array_values(array_filter(
            array_diff(get_defined_functions()['user'], $before),
            static fn ($name) => (new \ReflectionFunction($name))->getFileName() === $path,
        ));
        foreach (self::NAMES as $name) {
            if (in_array($name, $own, true)) {
                return self::app($settings, $name, "$file.$name");
            }
        }
        return count($own) === 1 ? self::app($settings, $own[0], "$file.{$own[0]}") : null;
    }

    private static function isHandler(mixed $value): bool
    {
        return $value instanceof \Closure || (is_object($value) && (is_callable($value) || method_exists($value, 'handle')));
    }

    private static function import(Settings $settings, string $file): mixed
    {
        $path = "{$settings->root}/$file.php";
        if (!is_file($path)) {
            self::fail('ImportModuleError', "Unable to load file '$file': there is no $file.php in the package");
        }
        try {
            return require_file($path);
        } catch (\ParseError $error) {
            $place = $error->getFile() . ':' . $error->getLine();
            self::fail('UserCodeSyntaxError', "Syntax error in file '$file.php': " . $error->getMessage(), [$place]);
        } catch (\Throwable $error) {
            if (str_starts_with($error->getMessage(), 'Failed opening required')) {
                self::fail('ImportModuleError', "Unable to load file '$file': " . $error->getMessage(), Errors::userFrames($error));
            }
            self::report($error);
        }
    }

    /** Handlers may leave out the context, or both arguments: PHP itself ignores what is too much. */
    private static function app(Settings $settings, mixed $handler, string $name): App
    {
        if (is_object($handler) && !is_callable($handler)) {
            $handler = [$handler, 'handle'];
        }
        $notes = $settings->concurrency > 1 ? ['PHP serves one invocation at a time'] : [];
        if (!Channel::canCloseOnExec()) {
            $notes[] = 'the extension FFI is missing: programs that the function starts inherit its channel';
        }
        return new App(\Closure::fromCallable($handler), $name, $settings, $notes);
    }
}
