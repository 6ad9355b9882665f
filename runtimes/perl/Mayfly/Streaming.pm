package Mayfly::Streaming;

# Answers that are streamed: what a handler may return besides a JSON value. A sub: it is called with a
# responder, which takes a content type, a hash with statusCode or PSGI's [status, [headers]], and gives
# a writer. A hash with statusCode whose body is a sub: it is called with the writer.

use strict;
use warnings;

# A sub that takes (make), where make->(head) gives a writer; else undef.
sub of {
    my ($result) = @_;
    return $result if ref $result eq 'CODE';
    return undef if ref $result ne 'HASH' || !exists $result->{statusCode} || ref $result->{body} ne 'CODE';
    return sub { return $result->{body}->($_[0]->($result)) };
}

# The JSON of a response head.
sub head_json {
    my ($head) = @_;
    $head = { headers => { 'content-type' => $head } } if defined $head && !ref $head;
    my (@fields, $status);
    if (ref $head eq 'ARRAY') {
        ($status, my $list) = @$head;
        my @list = @{ $list // [] };
        push @fields, [splice @list, 0, 2] while @list;
    }
    else {
        $status = $head->{statusCode};
        @fields = fields($head);
    }
    push @fields, ['content-type', 'application/octet-stream']
        if !grep { lc $_->[0] eq 'content-type' } @fields;
    $_ = ["$_->[0]", "$_->[1]"] for @fields;
    return Mayfly::Json::encode({ status => int($status // 200), headers => \@fields });
}

sub fields {
    my ($head) = @_;
    my (@fields, %many);
    for my $name (keys %{ $head->{multiValueHeaders} // {} }) {
        push @fields, map { [$name, $_] } @{ $head->{multiValueHeaders}{$name} };
        $many{ lc $name } = 1;
    }
    for my $name (keys %{ $head->{headers} // {} }) {
        next if $many{ lc $name };
        my $value = $head->{headers}{$name};
        push @fields, map { [$name, $_] } ref $value eq 'ARRAY' ? @$value : ($value);
    }
    push @fields, map { ['set-cookie', $_] } @{ $head->{cookies} // [] };
    return @fields;
}

package Mayfly::Writer;

sub new {
    my ($class, $server, $call) = @_;
    return bless { server => $server, call => $call }, $class;
}

# Characters are sent as UTF-8, bytes as they are. Waits while there is no credit; dies when nobody
# wants the answer any more.
sub write {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $text) = @_;
    utf8::encode($text) if utf8::is_utf8($text);
    $self->{server}->send_chunk($self->{call}, $text);
    return 1;
}

sub close { return 1 }    ## no critic (ProhibitBuiltinHomonyms)

1;
