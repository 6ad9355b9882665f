# The event handler of the conformance suite: $event->{op} says what to do.
use strict;
use warnings;
use utf8;

print "loaded\n";

sub fail {
    my ($text) = @_;
    die "$text\n";
}

sub fail_with { return fail(@_) }

sub endless {
    my ($responder) = @_;
    my $writer = $responder->('application/octet-stream');
    my $closing = Closing->new;
    $writer->write('x' x 65536) while 1;
}

sub blocks {
    my ($count, $size) = @_;
    return sub {
        my $writer = $_[0]->([200, ['content-type' => 'application/x-blocks']]);
        $writer->write('b' x $size) for 1 .. $count;
    };
}

sub binary {
    my ($responder) = @_;
    my $writer = $responder->([200, []]);
    $writer->write(pack 'C*', 0 .. 255) for 1 .. 3;
}

sub failing_stream {
    my ($responder) = @_;
    $responder->('text/plain; charset=utf-8')->write("before\n");
    die "in the middle\n";
}

sub lines {
    my ($count) = @_;
    return {
        statusCode => 201,
        headers => { 'content-type' => 'text/x-lines', 'x-one' => 1 },
        cookies => ['a=1', 'b=2'],
        body => sub {
            my ($writer) = @_;
            $writer->write("line $_\n") for 0 .. $count - 1;
            $writer->close;
        },
    };
}

sub context_members {
    my ($context) = @_;
    my $client = $context->client_context;
    return {
        request_id => $context->aws_request_id,
        name => $context->function_name,
        version => $context->function_version,
        arn => $context->invoked_function_arn,
        memory => $context->memory_limit_in_mb,
        log_group => $context->log_group_name,
        log_stream => $context->log_stream_name,
        remaining => $context->get_remaining_time_in_millis,
        client_custom => $client && $client->{custom},
        client_title => $client && $client->{client}{app_title},
    };
}

sub write_logs {
    my ($event) = @_;
    my $name = $event->{name};
    print 'out ', $name, "\n";
    print 'half ';
    printf "and half %s\n", $name;
    warn "err $name\n";
    print "größe €\n" if $event->{unicode};
    print "unfinished $name";
    return $name;
}

sub circle {
    my $found = {};
    $found->{self} = $found;
    return $found;
}

sub nap {
    my ($event) = @_;
    print "sleeping $event->{name}\n";
    select undef, undef, undef, $event->{seconds};
    print "slept $event->{name}\n";
    return $event->{name};
}

sub remaining {
    my ($context) = @_;
    my $first = $context->get_remaining_time_in_millis;
    select undef, undef, undef, 0.05;
    return [$first, $context->get_remaining_time_in_millis];
}

sub wait_for_cancel {
    my ($context) = @_;
    print "waiting\n";
    select undef, undef, undef, 0.005 while !$context->cancelled;
    print "noticed\n";
    return undef;
}

sub leave {
    print "leaving\n";
    exit 3;
}

sub handler {
    my ($event, $context) = @_;
    my $op = $event->{op} // '';
    my %act = (
        echo => sub { $event->{value} },
        context => sub { context_members($context) },
        raise => sub { fail_with($event->{text} // 'boom') },
        unmarshalable => sub { $event->{kind} eq 'circle' ? circle() : { glob => \*STDIN } },
        log => sub { write_logs($event) },
        env => sub { +{ map { $_ => $ENV{$_} } @{ $event->{names} } } },
        large => sub { 'x' x $event->{size} },
        size => sub { length $event->{value} },
        stream => sub { lines($event->{count}) },
        blocks => sub { blocks($event->{count}, $event->{size}) },
        endless => sub { \&endless },
        binary => sub { \&binary },
        stream_fails => sub { \&failing_stream },
        sleep => sub { nap($event) },
        remaining => sub { remaining($context) },
        wait_for_cancel => sub { wait_for_cancel($context) },
        exit => \&leave,
    );
    return $act{$op} ? $act{$op}->() : { unknown => $event->{op} };
}

package Closing;
sub new { return bless {}, shift }
sub DESTROY { print "closed the stream\n"; return }

1;
