<?php

// Answers HTTP calls and plain events alike: an HTTP call comes as an event of API Gateway's form.
return function (array $event, $context): array {
    $name = $event['name'] ?? $event['queryStringParameters']['name'] ?? 'World';
    echo "greeting $name\n";
    return ['message' => "Hello $name", 'request' => $context->getAwsRequestId()];
};
