<?php

declare(strict_types=1);

namespace Mayfly;

/**
 * A process that has run the function's initialisation and is then cloned instead of serving.
 * docs/internals/cloning-runtimes.md. Made before anything of the user's is loaded.
 */
final class Template
{
    private const LIBRARY = '
        char *mayfly_template_open(void);
        char *mayfly_template_look(void);
        int mayfly_template_next(void);
        void mayfly_template_forked(int pid);
        char *mayfly_template_enter(void);
        void mayfly_template_exit(void);';

    private ?\FFI $library = null;
    private ?string $why = null; // why the process cannot be cloned, if it cannot

    public function __construct()
    {
        $path = getenv('MAYFLY_TEMPLATE_LIB') ?: dirname((string) getenv('MAYFLY_CLONE_LIB')) . '/libmayfly_template.so';
        $this->open($path);
        foreach (['MAYFLY_TEMPLATE_FD', 'MAYFLY_CLONE_LIB', 'MAYFLY_TEMPLATE_LIB'] as $name) {
            putenv($name);
            unset($_ENV[$name], $_SERVER[$name]);
        }
    }

    private function open(string $path): void
    {
        foreach (['FFI' => \FFI::class, 'pcntl' => null] as $extension => $class) {
            if ($class !== null ? !class_exists($class, false) : !function_exists('pcntl_fork')) {
                $this->why = "cloning needs PHP's extension $extension";
                return;
            }
        }
        try {
            $this->library = \FFI::cdef(self::LIBRARY, $path);
        } catch (\FFI\Exception $error) {
            $this->why = "Mayfly's template library cannot be used: {$error->getMessage()}";
            return;
        }
        $this->why = self::lines($this->library->mayfly_template_open())[0] ?? null;
    }

    /** After initialisation. The members of ready that say whether it can be cloned. */
    public function settle(App $app): array
    {
        if ($this->why === null) {
            gc_collect_cycles();
            foreach (self::lines($this->library->mayfly_template_look()) as $line) {
                if ($line[0] === '!') {
                    $this->why = substr($line, 1);
                } else {
                    $app->notes[] = substr($line, 1);
                }
            }
        }
        return $this->why === null ? ['cloneable' => true] : ['cloneable' => false, 'why' => $this->why];
    }

    /** Waits for orders and forks for each. Returns in the clones. */
    public function run(): void
    {
        gc_collect_cycles();
        gc_mem_caches();
        while ($this->library->mayfly_template_next() === 1) {
            $pid = @pcntl_fork();
            if ($pid === 0) {
                $this->becomeClone();
                return;
            }
            $this->library->mayfly_template_forked($pid > 0 ? $pid : -pcntl_get_last_error());
        }
        $this->library->mayfly_template_exit();
    }

    private function becomeClone(): void
    {
        $environment = self::lines($this->library->mayfly_template_enter());
        Unique::reseed();
        Leaving::own();
        $_SERVER['REQUEST_TIME_FLOAT'] = microtime(true);
        $_SERVER['REQUEST_TIME'] = time();
        foreach ($environment as $line) {
            [$name, $value] = explode('=', $line, 2) + ['', ''];
            if ($name !== '') {
                putenv($line);
                $_ENV[$name] = $_SERVER[$name] = $value;
            }
        }
    }

    /** The strings of a block that an empty one ends. */
    private static function lines(\FFI\CData $text): array
    {
        $lines = [];
        while (($line = \FFI::string($text)) !== '') {
            $lines[] = $line;
            $text += strlen($line) + 1;
        }
        return $lines;
    }
}
