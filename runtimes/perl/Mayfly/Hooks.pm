package Mayfly::Hooks;

# What a function wants to be done before its process becomes a template, and in each clone of it. An
# instance that is not cloned runs both, one after the other. Order as with AWS's SnapStart: before in
# reverse, after as registered.

use strict;
use warnings;

my (@before, @after);

# Has the sub called with the arguments before the snapshot; the last one registered comes first.
sub Mayfly::before_snapshot {
    push @before, checked('before_snapshot', @_);
    return;
}

# Has the sub called with the arguments in each instance, before its first invocation.
sub Mayfly::after_restore {
    push @after, checked('after_restore', @_);
    return;
}

sub checked {
    my ($name, $hook, @arguments) = @_;
    die "Mayfly::$name takes a sub\n" if ref $hook ne 'CODE';
    return [$hook, @arguments];
}

# Both die with a Mayfly::InitError.
sub run_before {
    while (my $hook = pop @before) { run(@$hook) }
    return;
}

sub run_after {
    while (my $hook = shift @after) { run(@$hook) }
    return;
}

sub run {
    my ($hook, @arguments) = @_;
    local $SIG{__DIE__} = \&Mayfly::Errors::note;
    return if eval { $hook->(@arguments); 1 };
    return Mayfly::InitError->throw(Mayfly::Errors::describe($@));
}

1;
