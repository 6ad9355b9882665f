package Mayfly::Forking;

# What a zygote and a template have in common: libmayfly_template, and the wait for orders.
# docs/internals/cloning-runtimes.md.
#
# Perl calls no C by itself, but DynaLoader makes a sub of any function in a library. One that is none
# of Perl's takes no arguments and returns nothing: what it has to say is read from variables of the
# library. It also leaves the mark of its (empty) list of arguments on Perl's stack, which is dropped
# when the sub around it returns: so each is called from a sub of its own.

use strict;
use warnings;

use DynaLoader ();

my @FUNCTIONS = qw(zygote environment open look next forked_env enter exit);
my @VARIABLES = qw(result text);
my %address;
my $bound;

# Loads the library, unless the zygote has. Why it cannot be used, or undef.
sub bind_library {
    return undef if $bound;    ## no critic (ProhibitExplicitReturnUndef)
    my ($folder) = ($ENV{MAYFLY_CLONE_LIB} // '') =~ m{^(.*)/};
    my $path = $ENV{MAYFLY_TEMPLATE_LIB} // ($folder // '') . '/libmayfly_template.so';
    my $library = DynaLoader::dl_load_file($path, 0);
    %address = map { $_ => $library && DynaLoader::dl_find_symbol($library, "mayfly_template_$_") } @FUNCTIONS, @VARIABLES;
    if (grep { !$_ } values %address) {
        my $error = DynaLoader::dl_error();
        $error =~ s/[\s\0]+\z//;    # it ends like a C string
        return "Mayfly's template library cannot be used: $error";
    }
    DynaLoader::dl_install_xsub("Mayfly::Forking::raw_$_", $address{$_}) for @FUNCTIONS;
    $bound = 1;
    return undef;              ## no critic (ProhibitExplicitReturnUndef)
}

sub c_zygote      { raw_zygote();      return }
sub c_environment { raw_environment(); return }
sub c_open        { raw_open();        return }
sub c_look        { raw_look();        return }
sub c_next        { raw_next();        return }
sub c_forked      { raw_forked_env();  return }
sub c_enter       { raw_enter();       return }
sub c_exit        { raw_exit();        return }

my %TEXT = (zygote => \&c_zygote, environment => \&c_environment, open => \&c_open, look => \&c_look, enter => \&c_enter);

# The strings of the text that a function of that name has left, a block that an empty one ends.
sub text {
    my ($name) = @_;
    $TEXT{$name}->();
    my $at = memory($address{text}, 'J');
    my @lines;
    while ((my $line = unpack 'p', pack 'J', $at) ne '') {
        $at += 1 + length $line;
        push @lines, $line;
    }
    return @lines;
}

# A number at an address.
sub memory {
    my ($address, $form) = @_;
    my $size = length pack $form, 0;
    return unpack $form, unpack "P$size", pack 'J', $address;
}

# Waits for orders and forks for each. Returns in the children.
sub each_order {
    while (1) {
        c_next();
        last if memory($address{result}, 'i') != 1;
        my $pid = fork;
        return if defined $pid && $pid == 0;
        local $ENV{MAYFLY_TEMPLATE_PID} = $pid // -$!;
        c_forked();
    }
    c_exit();
    return;
}

1;
