<?php

declare(strict_types=1);

namespace Mayfly;

/** One invocation: what its log lines belong to, and its streamed answer. */
final class Call extends Target
{
    public int $credit = INITIAL_WINDOW;
    public bool $cancelled = false;
    public ?string $rest = null; // of a finished answer, waiting for credit

    public function __construct(int $stream, private readonly Server $server)
    {
        parent::__construct($stream);
    }

    public function isCancelled(): bool
    {
        if (!$this->cancelled) {
            $this->server->lookForCancel();
        }
        return $this->cancelled;
    }
}

/** Serves events one at a time. */
final class Server
{
    private const FLUSH_AFTER = 500_000; // nanoseconds that a finished reply may wait for more of its kind

    private Decoder $decoder;
    private array $backlog = []; // complete invokes by stream: [meta, body]
    private array $incoming = []; // by stream: [meta, pieces of the body]
    private array $calls = []; // by stream: Call, while its answer is not over
    private bool $closing = false;
    private bool $traced = false;

    public function __construct(private readonly App $app, private readonly Channel $channel)
    {
        $this->decoder = new Decoder();
    }

    public static function readyFrame(App $app, array $ready): string
    {
        return frame(0, READY, 0, json_encode($app->ready() + $ready, Streaming::JSON));
    }

    /** ready: members that its first frame has beside the usual ones; null: a clone, which sends none. */
    public function run(?array $ready): void
    {
        if ($ready !== null) {
            $this->channel->put(self::readyFrame($this->app, $ready));
            $this->channel->flush();
        }
        while (!$this->closing || $this->backlog || $this->calls || $this->incoming) {
            $this->pump();
            $this->work();
        }
    }

    /** Takes in what has arrived; waits for something. */
    private function pump(): void
    {
        foreach ($this->decoder->feed($this->channel->receive()) as $frame) {
            $this->take(...$frame);
        }
    }

    public function lookForCancel(): void
    {
        while ($this->channel->arrived()) {
            $this->pump();
        }
    }

    private function work(): void
    {
        $flushed = hrtime(true);
        while ($this->backlog) {
            $stream = array_key_first($this->backlog);
            [$meta, $body] = $this->backlog[$stream];
            unset($this->backlog[$stream]);
            $this->invoke($stream, $meta, $body);
            $now = hrtime(true);
            if ($now - $flushed > self::FLUSH_AFTER) {
                $this->channel->flush();
                $flushed = $now;
            }
        }
        $this->channel->flush();
    }

    private function take(int $stream, int $kind, int $flags, string $payload): void
    {
        match ($kind) {
            INVOKE => $this->open($stream, $flags, $payload),
            DATA => $this->more($stream, $flags, $payload),
            WINDOW => $this->grant($stream, unpack('V', $payload)[1]),
            CANCEL => $this->cancel($stream),
            SHUTDOWN => $this->closing = true,
            default => throw new ProtocolError("unexpected frame type $kind"),
        };
    }

    private function open(int $stream, int $flags, string $payload): void
    {
        if ($flags & HTTP) {
            $this->error($stream, Errors::fault('Runtime.ProtocolError', 'an HTTP request came to an event handler'));
            return;
        }
        [$meta, $body] = split_invoke($payload);
        if ($flags & END) {
            $this->backlog[$stream] = [$meta, $body];
            return;
        }
        $this->incoming[$stream] = [$meta, [$body]];
        if ($body !== '') {
            $this->channel->put(window_frame($stream, strlen($body)));
        }
    }

    private function more(int $stream, int $flags, string $payload): void
    {
        if (!isset($this->incoming[$stream])) {
            return; // of a stream that is over
        }
        $this->incoming[$stream][1][] = $payload;
        if ($flags & END) {
            [$meta, $pieces] = $this->incoming[$stream];
            unset($this->incoming[$stream]);
            $this->backlog[$stream] = [$meta, implode('', $pieces)];
        } else {
            $this->channel->put(window_frame($stream, strlen($payload)));
        }
    }

    private function grant(int $stream, int $count): void
    {
        $call = $this->calls[$stream] ?? null;
        if ($call === null) {
            return;
        }
        $call->credit += $count;
        if ($call->rest !== null) {
            $this->sendRest($call);
        }
    }

    private function cancel(int $stream): void
    {
        $call = $this->calls[$stream] ?? null;
        if ($call !== null && $call->rest === null) {
            $call->cancelled = true;
        } elseif ($call !== null || isset($this->incoming[$stream]) || isset($this->backlog[$stream])) {
            unset($this->calls[$stream], $this->incoming[$stream], $this->backlog[$stream]);
            $this->error($stream, Errors::cancelled());
        }
    }

    // ---- calling

    private function invoke(int $stream, string $meta, string $body): void
    {
        $call = new Call($stream, $this);
        $this->calls[$stream] = $call;
        Leaving::$active = $this->failed(...);
        Leaving::$call = $call;
        Logs::begin($call);
        try {
            $event = $body === '' ? [] : json_decode($body, true, 512, JSON_THROW_ON_ERROR);
        } catch (\JsonException $error) {
            $this->failed($call, Errors::fault('Runtime.UnmarshalError', 'Unable to unmarshal input: ' . $error->getMessage()));
            return;
        }
        unset($body);
        $meta = json_decode($meta, true);
        $this->trace($meta['trace'] ?? '');
        $this->answer($call, $event, new Context($meta, $call));
        Leaving::$call = null;
    }

    private function trace(string $value): void
    {
        if ($value !== '') {
            putenv("_X_AMZN_TRACE_ID=$value");
            $_ENV['_X_AMZN_TRACE_ID'] = $value;
            $this->traced = true;
        } elseif ($this->traced) {
            putenv('_X_AMZN_TRACE_ID');
            unset($_ENV['_X_AMZN_TRACE_ID']);
            $this->traced = false;
        }
    }

    private function answer(Call $call, mixed $event, Context $context): void
    {
        try {
            $result = ($this->app->target)($event, $context);
            $parts = Streaming::partsOf($result);
            if ($parts !== null) {
                unset($result);
                $this->stream($call, ...$parts);
                return;
            }
        } catch (Cancelled) {
            $this->failed($call, Errors::cancelled());
            return;
        } catch (ProtocolError | ChannelClosed $error) {
            throw $error;
        } catch (\Throwable $error) {
            $this->failed($call, Errors::describe($error), Errors::logTextOf($error));
            return;
        }
        try {
            $text = json_encode($result, Streaming::JSON);
        } catch (\Throwable $error) {
            $this->failed($call, Errors::fault('Runtime.MarshalError', 'Unable to marshal response: ' . $error->getMessage()));
            return;
        }
        $this->complete($call, $text);
    }

    // ---- answers

    private function complete(Call $call, string $text): void
    {
        Logs::finish();
        if (strlen($text) <= $call->credit) {
            unset($this->calls[$call->stream]);
            $this->channel->put(reply_frame($call->stream, END, '', $text));
            return;
        }
        $this->channel->put(reply_frame($call->stream, 0, '', substr($text, 0, $call->credit)));
        $call->rest = substr($text, $call->credit);
        $call->credit = 0;
    }

    private function sendRest(Call $call): void
    {
        $at = 0;
        $size = strlen($call->rest);
        while ($at < $size && $call->credit > 0) {
            $count = min($call->credit, BODY_BYTES, $size - $at);
            $call->credit -= $count;
            $last = $at + $count === $size;
            $this->channel->put(frame($call->stream, DATA, $last ? END : 0, substr($call->rest, $at, $count)));
            $at += $count;
        }
        $call->rest = substr($call->rest, $at);
        if ($at === $size) {
            unset($this->calls[$call->stream]);
        }
        $this->channel->flush();
    }

    public function failed(Call $call, array $fault, ?string $text = null): void
    {
        Logs::finish();
        Logs::emit($call, 2, $text ?? Errors::logText($fault));
        unset($this->calls[$call->stream]);
        $this->error($call->stream, $fault);
    }

    private function error(int $stream, array $fault): void
    {
        $this->channel->put(frame($stream, ERROR, END, json_encode($fault, Streaming::JSON)));
    }

    private function stream(Call $call, ?array $head, \Iterator $items): void
    {
        $started = false;
        foreach ($items as $item) {
            if (!$started && $head === null && Streaming::isHead($item)) {
                $head = $item;
                continue;
            }
            if (!$started) {
                $this->channel->put(reply_frame($call->stream, HTTP, Streaming::headJson($head, $item)));
                $started = true;
            }
            if (!$this->sendChunk($call, Streaming::bytes($item))) {
                if ($items instanceof \Generator) {
                    $items->throw(new Cancelled('the caller is gone'));
                }
                throw new Cancelled('the caller is gone');
            }
        }
        Logs::finish();
        unset($this->calls[$call->stream]);
        $this->channel->put($started
            ? frame($call->stream, DATA, END, '')
            : reply_frame($call->stream, HTTP | END, Streaming::headJson($head, '')));
    }

    /** Sends streamed bytes as credit allows; false when the invocation was cancelled. */
    private function sendChunk(Call $call, string $data): bool
    {
        $at = 0;
        while ($at < strlen($data) && !$call->cancelled) {
            if ($call->credit === 0) {
                $this->channel->flush();
                $this->pump();
                continue;
            }
            $count = min($call->credit, BODY_BYTES, strlen($data) - $at);
            $call->credit -= $count;
            $this->channel->put(frame($call->stream, DATA, 0, substr($data, $at, $count)));
            $at += $count;
        }
        $this->channel->flush();
        return !$call->isCancelled();
    }
}

/** The ways in which the process ends. */
final class Leaving
{
    private const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;

    public static bool $loading = true;
    public static ?Call $call = null; // the one that runs
    public static ?\Closure $active = null; // fails it

    private static int $owner = 0;

    /** The process is the instance: not a child of the user's. */
    public static function own(): void
    {
        self::$owner = getmypid();
    }

    public static function install(): void
    {
        self::own();
        // Functions of the user's run before the inner one, which is registered last.
        register_shutdown_function(static function () {
            register_shutdown_function(static function () {
                if (getmypid() === self::$owner) {
                    self::leave();
                }
            });
        });
    }

    public static function statusOf(Server $server, ?array $ready): int
    {
        try {
            $server->run($ready);
        } catch (ProtocolError $error) {
            file_put_contents('php://stderr', "mayfly: {$error->getMessage()}\n");
            return 1;
        } catch (ChannelClosed) {
            return 0;
        }
        return 0;
    }

    /** exit() of the user's code, a fatal error, or the end. */
    private static function leave(): void
    {
        $last = error_get_last();
        $fatal = $last !== null && ($last['type'] & self::FATAL) !== 0;
        try {
            if (self::$loading) {
                self::failInitialisation($fatal ? self::fatalWhileLoading($last)
                    : Errors::fault('Runtime.ExitError', 'The function called exit() while it was loaded'));
            }
            if ($fatal && self::$call !== null) {
                $fault = Errors::fault('FatalError', $last['message'], ["{$last['file']}:{$last['line']}"]);
                (self::$active)(self::$call, $fault);
                self::$call = null;
            }
            Logs::finish();
            Logs::flush();
        } catch (ChannelClosed) {
            // the engine is gone
        }
    }

    private static function fatalWhileLoading(array $last): array
    {
        $type = str_contains($last['message'], 'Failed opening required') ? 'Runtime.ImportModuleError' : 'Runtime.UserCodeError';
        return Errors::fault($type, $last['message'], ["{$last['file']}:{$last['line']}"]);
    }

    public static function failInitialisation(array $fault): never
    {
        self::$loading = false;
        try {
            $channel = new Channel(3);
            Logs::openChannel($channel);
            fwrite(STDERR, Errors::logText($fault));
            $channel->put(frame(0, INIT_ERROR, 0, json_encode($fault, Streaming::JSON)));
            $channel->flush();
        } catch (ChannelClosed) {
            // the engine is gone
        }
        exit(1);
    }
}
