<?php

declare(strict_types=1);

namespace Mayfly;

/** Initialisation failed; fault is the JSON form as an array. */
final class InitError extends \Exception
{
    public function __construct(public readonly array $fault)
    {
        parent::__construct($fault['errorMessage']);
    }
}

/** The caller is gone; thrown inside of a generator whose items are sent. */
final class Cancelled extends \Exception
{
}

/** What went wrong in the user's code, in AWS Lambda's form. */
final class Errors
{
    public static function fault(string $type, string $message, array $trace = []): array
    {
        return [
            'errorType' => $type,
            'errorMessage' => self::text($message),
            'stackTrace' => array_map(self::text(...), $trace),
        ];
    }

    public static function describe(\Throwable $error): array
    {
        $type = str_contains($class = $error::class, '@anonymous') ? (string) get_parent_class($error) : $class;
        return self::fault($type, $error->getMessage(), self::userFrames($error));
    }

    /** The innermost first: "/var/task/app.php:12 in total()"; frames of the user's side only. */
    public static function userFrames(\Throwable $error): array
    {
        $here = dirname(__DIR__) . '/';
        $lines = [];
        $place = ['file' => $error->getFile(), 'line' => $error->getLine()];
        foreach ([...$error->getTrace(), []] as $frame) {
            $name = isset($frame['function'])
                ? (isset($frame['class']) ? $frame['class'] . $frame['type'] : '') . $frame['function'] . '()'
                : '{main}';
            if (isset($place['file']) && !str_starts_with($place['file'], $here)) {
                $name = str_starts_with($name, 'Mayfly\\') ? '{main}' : $name;
                $lines[] = $place['file'] . ':' . ($place['line'] ?? 0) . ' in ' . $name;
            }
            $place = $frame;
        }
        return $lines;
    }

    /** UTF-8 in any case: it goes into JSON. */
    public static function text(string $text): string
    {
        if (preg_match('//u', $text) === 1) {
            return $text;
        }
        return json_decode(json_encode($text, JSON_INVALID_UTF8_SUBSTITUTE)) ?? '';
    }

    /** What the log shows. */
    public static function logText(array $fault): string
    {
        $text = "[ERROR] {$fault['errorType']}: {$fault['errorMessage']}\n";
        foreach ($fault['stackTrace'] as $line) {
            $text .= "  at $line\n";
        }
        return $text;
    }

    /** As logText, followed by the chain of causes. */
    public static function logTextOf(\Throwable $error): string
    {
        $text = self::logText(self::describe($error));
        while ($error = $error->getPrevious()) {
            $text .= 'caused by ' . substr(self::logText(self::describe($error)), strlen('[ERROR] '));
        }
        return $text;
    }

    public static function cancelled(): array
    {
        return self::fault('Runtime.Cancelled', 'The invocation was cancelled: the caller is gone or it is late.');
    }
}
