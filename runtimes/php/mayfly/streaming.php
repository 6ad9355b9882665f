<?php

declare(strict_types=1);

namespace Mayfly;

/**
 * Answers that are streamed: what a handler may return besides a JSON value. A Generator (or another
 * Iterator): its items are the body; a first item that is an array with statusCode is the head. An array
 * with statusCode whose body is a Generator: head and body.
 */
final class Streaming
{
    public const JSON = JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION;

    /** [head or null, items] when the result is a stream, else null. */
    public static function partsOf(mixed $result): ?array
    {
        if ($result instanceof \Iterator && !$result instanceof \JsonSerializable) {
            return [null, $result];
        }
        return self::isHead($result) && ($result['body'] ?? null) instanceof \Iterator ? [$result, $result['body']] : null;
    }

    public static function isHead(mixed $item): bool
    {
        return is_array($item) && isset($item['statusCode']);
    }

    /** The response head of a Lambda style array, as JSON. */
    public static function headJson(?array $head, mixed $first): string
    {
        $fields = [];
        $names = [];
        foreach ($head['multiValueHeaders'] ?? [] as $name => $values) {
            foreach ((array) $values as $value) {
                $fields[] = [(string) $name, (string) $value];
            }
            $names[strtolower((string) $name)] = true;
        }
        foreach ($head['headers'] ?? [] as $name => $values) {
            if (isset($names[strtolower((string) $name)])) {
                continue;
            }
            foreach ((array) $values as $value) {
                $fields[] = [(string) $name, (string) $value];
            }
        }
        foreach ($head['cookies'] ?? [] as $cookie) {
            $fields[] = ['set-cookie', (string) $cookie];
        }
        if (!in_array('content-type', array_map(static fn ($field) => strtolower($field[0]), $fields), true)) {
            $isText = is_string($first) && preg_match('//u', $first) === 1;
            $fields[] = ['content-type', $isText ? 'text/plain; charset=utf-8' : 'application/octet-stream'];
        }
        return json_encode(['status' => (int) ($head['statusCode'] ?? 200), 'headers' => $fields], self::JSON);
    }

    /** Body bytes of an item: strings as they are, anything else as a line of JSON. */
    public static function bytes(mixed $item): string
    {
        return is_string($item) ? $item : json_encode($item, self::JSON) . "\n";
    }
}
