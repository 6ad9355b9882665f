<?php

// Frames: see docs/internals/frames.md, which this file and src/wire/frames.h follow.

declare(strict_types=1);

namespace Mayfly;

const INVOKE = 1;
const DATA = 2;
const CANCEL = 3;
const WINDOW = 4;
const SHUTDOWN = 5;
const READY = 65;
const INIT_ERROR = 66;
const REPLY = 67;
const ERROR = 69;
const LOG = 70;
const END = 1;
const HTTP = 2;

const MAX_FRAME = 64 << 20;
const INITIAL_WINDOW = 1 << 20;
const RECV_BYTES = 256 << 10;
const BODY_BYTES = 256 << 10; // the most body bytes put into one frame

/** The other side broke the protocol: there is no way to go on. */
final class ProtocolError extends \Exception
{
}

/** The engine is gone. */
final class ChannelClosed extends \Exception
{
}

function frame(int $stream, int $kind, int $flags, string $payload): string
{
    return pack('VVCCv', strlen($payload), $stream, $kind, $flags, 0) . $payload;
}

function window_frame(int $stream, int $count): string
{
    return pack('VVCCvV', 4, $stream, WINDOW, 0, 0, $count);
}

/** head: JSON text, empty for the result of an event. */
function reply_frame(int $stream, int $flags, string $head, string $body = ''): string
{
    $size = 4 + strlen($head) + strlen($body);
    return pack('VVCCvV', $size, $stream, REPLY, $flags, 0, strlen($head)) . $head . $body;
}

/** [meta, body] of an invoke payload. */
function split_invoke(string $payload): array
{
    $size = strlen($payload);
    $meta = $size >= 4 ? unpack('V', $payload)[1] : $size;
    $head = $size >= 8 + $meta ? unpack('V', $payload, 4 + $meta)[1] : $size;
    if (8 + $meta + $head > $size) {
        throw new ProtocolError('the lengths inside an invoke frame do not fit');
    }
    return [substr($payload, 4, $meta), substr($payload, 8 + $meta + $head)];
}

/** Cuts received bytes into frames. */
final class Decoder
{
    private string $rest = '';
    private array $parts = []; // pieces of a frame larger than one read
    private int $missing = 0;

    /** The complete frames, as [stream, kind, flags, payload]. */
    public function feed(string $data): array
    {
        if ($this->missing > 0) {
            $this->parts[] = $data;
            $this->missing -= strlen($data);
            if ($this->missing > 0) {
                return [];
            }
            $data = implode('', $this->parts);
            $this->parts = [];
            $this->missing = 0;
        } elseif ($this->rest !== '') {
            $data = $this->rest . $data;
        }
        $this->rest = '';
        $frames = [];
        $at = 0;
        $size = strlen($data);
        while ($size - $at >= 12) {
            ['a' => $length, 'b' => $stream, 'c' => $kind, 'd' => $flags] = unpack('Va/Vb/Cc/Cd', $data, $at);
            if ($length > MAX_FRAME) {
                throw new ProtocolError("a frame of $length bytes is over the limit of " . MAX_FRAME);
            }
            $end = $at + 12 + $length;
            if ($end > $size) {
                $this->parts = [substr($data, $at)];
                $this->missing = $end - $size;
                return $frames;
            }
            $frames[] = [$stream, $kind, $flags, substr($data, $at + 12, $length)];
            $at = $end;
        }
        $this->rest = substr($data, $at);
        return $frames;
    }
}

/** The channel's socket, blocking. */
final class Channel
{
    /** @var resource */
    private $socket;
    private string $out = '';
    private int $owner;

    public function __construct(int $descriptor)
    {
        // PHP makes a copy of the descriptor; the copy must not reach other programs either.
        $copy = self::lowestFree($descriptor);
        $this->socket = fopen("php://fd/$descriptor", 'r+b');
        if ($copy !== null) {
            self::closeOnExec($copy);
        }
        stream_set_read_buffer($this->socket, 0);
        stream_set_write_buffer($this->socket, 0);
        $this->owner = getmypid();
    }

    public static function isOpen(int $descriptor): bool
    {
        // PHP may have put its script there.
        return str_starts_with((string) @readlink("/proc/self/fd/$descriptor"), 'socket:');
    }

    /** Without the extension FFI, programs that the function starts inherit the channel. */
    public static function closeOnExec(int $descriptor): void
    {
        self::libc()?->fcntl($descriptor, 2, 1); // F_SETFD, FD_CLOEXEC
    }

    public static function canCloseOnExec(): bool
    {
        return self::libc() !== null;
    }

    private static function libc(): ?\FFI
    {
        static $libc = false;
        if ($libc === false) {
            $libc = class_exists(\FFI::class, false)
                ? \FFI::cdef('int fcntl(int, int, int); int dup(int); int close(int);')
                : null;
        }
        return $libc;
    }

    private static function lowestFree(int $descriptor): ?int
    {
        $libc = self::libc();
        if ($libc === null) {
            return null;
        }
        $free = $libc->dup($descriptor);
        $libc->close($free);
        return $free;
    }

    /** False in a forked child of the user's: the channel belongs to the parent. */
    public function isOurs(): bool
    {
        return getmypid() === $this->owner;
    }

    public function receive(): string
    {
        // A signal of the user's interrupts a read: nothing came, and it is not the end.
        do {
            $data = @fread($this->socket, RECV_BYTES);
        } while (($data === false || $data === '') && !feof($this->socket));
        if ($data === false || $data === '') {
            throw new ChannelClosed('the channel is closed');
        }
        return $data;
    }

    /** Is there something to receive? */
    public function arrived(): bool
    {
        $read = [$this->socket];
        $none = null;
        return @stream_select($read, $none, $none, 0) > 0;
    }

    /** To be sent with the next flush. */
    public function put(string $data): void
    {
        $this->out .= $data;
    }

    public function flush(): void
    {
        $out = $this->out;
        $this->out = '';
        if (!$this->isOurs()) {
            return;
        }
        $last = error_get_last(); // to be left alone: PHP writes here in the middle of a fatal error
        while ($out !== '') {
            $count = (int) @fwrite($this->socket, $out);
            if ($count === 0) {
                if (error_get_last() !== $last) { // without an error a signal has interrupted it
                    throw new ChannelClosed('the channel is closed');
                }
                error_clear_last();
                $last = null;
            }
            $out = $count === strlen($out) ? '' : substr($out, $count);
        }
    }

    /** Sends whole lines at once: they must survive if the process dies next. */
    public function log(int $stream, int $which, string $text): void
    {
        foreach (str_split($text, BODY_BYTES) as $piece) {
            $this->put(frame($stream, LOG, 0, chr($which) . $piece));
        }
        $this->flush();
    }
}
