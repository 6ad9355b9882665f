use strict;
use warnings;

# Answers HTTP calls and plain events alike: an HTTP call comes as an event of API Gateway's form.
sub handler {
    my ($event, $context) = @_;
    my $name = $event->{name} // $event->{queryStringParameters}{name} // 'World';
    print "greeting $name\n";
    return { message => "Hello $name", request => $context->aws_request_id };
}

1;
