<?php

declare(strict_types=1);

namespace Mayfly {
    /** What output belongs to: a stream, and its unfinished lines. */
    class Target
    {
        public array $partial = [1 => '', 2 => ''];

        public function __construct(public readonly int $stream)
        {
        }
    }

    /**
     * Output of the user's code, attributed to the invocation that wrote: echo and its kin by an output
     * buffer, STDOUT and STDERR by filters, error_log() by a function of that name. What is written
     * before the channel is open goes to the pipes on fd 1 and 2.
     */
    final class Logs
    {
        private const LINE_BYTES = 64 << 10; // an unfinished line longer than this is sent in pieces

        private static ?Channel $channel = null;
        private static Target $process;
        private static ?Target $sole = null; // the one invocation that runs

        public static function install(): void
        {
            self::$process = new Target(0);
            stream_filter_register('mayfly.log', LogFilter::class);
            stream_filter_append(STDOUT, 'mayfly.log', STREAM_FILTER_WRITE, 1);
            stream_filter_append(STDERR, 'mayfly.log', STREAM_FILTER_WRITE, 2);
            self::catchOutput();
        }

        public static function openChannel(Channel $channel): void
        {
            self::$channel = $channel;
        }

        public static function begin(Target $target): void
        {
            self::$sole = $target;
            self::catchOutput();
        }

        /** Sends what the user's buffers hold, and unfinished lines. */
        public static function finish(): void
        {
            while (ob_get_level() > 1) {
                ob_end_flush();
            }
            $target = self::$sole ?? self::$process;
            self::$sole = null;
            foreach ($target->partial as $which => $text) {
                if ($text !== '') {
                    $target->partial[$which] = '';
                    self::emit($target, $which, $text . "\n");
                }
            }
        }

        public static function emit(Target $target, int $which, string $text): void
        {
            if (self::$channel === null) {
                file_put_contents($which === 1 ? 'php://stdout' : 'php://stderr', $text);
            } else {
                self::$channel->log($target->stream, $which, Errors::text($text));
            }
        }

        public static function flush(): void
        {
            self::$channel?->flush();
        }

        /** False when it is not ours to attribute: before the channel is open, or in a forked child. */
        public static function write(int $which, string $text): bool
        {
            if (self::$channel === null || !self::$channel->isOurs()) {
                return false;
            }
            $target = self::$sole ?? self::$process;
            $at = strrpos($text, "\n");
            if ($at !== false) {
                $line = $target->partial[$which] . substr($text, 0, $at + 1);
                $target->partial[$which] = substr($text, $at + 1);
                self::emit($target, $which, $line);
            } else {
                $target->partial[$which] .= $text;
                if (strlen($target->partial[$which]) > self::LINE_BYTES) {
                    $line = $target->partial[$which];
                    $target->partial[$which] = '';
                    self::emit($target, $which, $line . "\n");
                }
            }
            return true;
        }

        /** The user's code may have removed all buffers, ours too. */
        private static function catchOutput(): void
        {
            if (ob_get_level() === 0) {
                ob_start(static fn (string $text) => $text === '' || self::write(1, $text) ? '' : $text, 1);
            }
        }
    }

    final class LogFilter extends \php_user_filter
    {
        public function filter($in, $out, &$consumed, bool $closing): int
        {
            $passed = PSFS_FEED_ME;
            while ($bucket = stream_bucket_make_writeable($in)) {
                $consumed += $bucket->datalen;
                if (!Logs::write($this->params, $bucket->data)) {
                    stream_bucket_append($out, $bucket);
                    $passed = PSFS_PASS_ON;
                }
            }
            return $passed;
        }
    }
}

namespace {
    if (!function_exists('error_log')) {
        /** PHP's own writes to the descriptor; it is switched off in the runtime's arguments. */
        function error_log(string $message, int $message_type = 0, ?string $destination = null, ?string $additional_headers = null): bool
        {
            return match ($message_type) {
                0, 4 => fwrite(STDERR, $message . "\n") !== false,
                3 => file_put_contents((string) $destination, $message, FILE_APPEND) !== false,
                default => false,
            };
        }
    }
}
