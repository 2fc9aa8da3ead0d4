# Names, sizes, formats and requests that are seldom. The argument is an empty directory.
D=$1
T=$D/tmp
mkdir -p "$T"
run() { echo "\$ $*"; virsh -c storage:///system "$@" 2>&1; echo "= $?"; }
ro() { echo "\$ -r $*"; virsh -r -c storage:///system "$@" 2>&1; echo "= $?"; }
q() { printf '%s' "$2" >"$T/$1.xml"; }
show() { echo "\$ $*"; "$@" 2>&1; }
q a "<pool type='dir'><name>al</name><uuid>11111111-2222-3333-4444-555555555555</uuid><target><path>$D/al/</path><permissions><mode>0750</mode><owner>1</owner><group>2</group><label>x</label></permissions></target></pool>"
run pool-define $T/a.xml
run pool-define $T/a.xml
run pool-dumpxml al
run pool-build al
show stat -c '%a %u %g' $D/al
run pool-start 11111111-2222-3333-4444-555555555555
run pool-dumpxml al
run pool-dumpxml al --inactive
run pool-dumpxml al --xpath //path
run pool-info al
run pool-info al --bytes --bogus
run pool-list --type dir
run pool-list --type dir,fs --all
run pool-list --type nonsense
run pool-list --name
run pool-list --name --all --details
run pool-list --uuid
run pool-list --inactive
run pool-list --no-autostart --details
run pool-autostart al --disable
run pool-autostart al
run pool-autostart al
run pool-autostart al --disable
q b "<pool type='dir'><name>al</name><uuid>11111111-2222-3333-4444-555555555555</uuid><target><path>$D/other</path></target></pool>"
run pool-define $T/b.xml
run pool-dumpxml al --inactive
run pool-dumpxml al --xpath //target/path
q b2 "<pool type='dir'><name>al</name><uuid>11111111-2222-3333-4444-666666666666</uuid><target><path>$D/al</path></target></pool>"
run pool-define $T/b2.xml
q b3 "<pool type='dir'><name>al2</name><uuid>11111111-2222-3333-4444-555555555555</uuid><target><path>$D/al</path></target></pool>"
run pool-define $T/b3.xml
q b4 "<pool type='dir'><name>al3</name><target><path>$D/al/</path></target></pool>"
run pool-define $T/b4.xml
run pool-create $T/b4.xml
q b5 "<pool type='dir'><name>sp ace &amp; &lt;ü&gt; 'q'</name><target><path>$D/sp ace &amp; ü</path></target></pool>"
run pool-define $T/b5.xml
run pool-build "sp ace & <ü> 'q'"
run pool-start "sp ace & <ü> 'q'"
run pool-dumpxml "sp ace & <ü> 'q'"
run vol-create-as "sp ace & <ü> 'q'" "v & <ö> 'x' \"y\"" 1M
run vol-list "sp ace & <ü> 'q'"
run vol-dumpxml "v & <ö> 'x' \"y\"" "sp ace & <ü> 'q'"
run vol-key "v & <ö> 'x' \"y\"" "sp ace & <ü> 'q'"
run pool-destroy "sp ace & <ü> 'q'"
run pool-undefine "sp ace & <ü> 'q'"
q b6 "<pool type='dir'><name>rel</name><target><path>relative/x</path></target></pool>"
run pool-define $T/b6.xml
run pool-start rel
run pool-undefine rel
q b7 "<pool type='dir'><name>cap</name><refresh><volume allocation='capacity'/></refresh><target><path>$D/cap</path></target></pool>"
run pool-create $T/b7.xml
run pool-create $T/b7.xml --build
run pool-dumpxml cap
run vol-create-as cap c 1M --allocation 0
run vol-create-as cap c2 1M --format qcow2
run pool-refresh cap
run vol-info c cap --bytes
run vol-info c2 cap --bytes
run pool-destroy cap
run pool-info cap
for f in raw bochs qcow qed vmdk vdi vpc cloop dmg iso luks dir qcow2 fat vhd ploop auto unknown ext4; do
run vol-create-as al f.$f 3M --format $f
run vol-dumpxml f.$f al
done
run pool-refresh al
run vol-list al --details
for f in raw qcow qed vmdk vdi vpc iso dir luks; do run vol-dumpxml f.$f al; run vol-info f.$f al --bytes; run vol-info f.$f al --bytes --physical; done
run vol-create-as al cap 1M --allocation 4M
run vol-create-as al cap0 0
run vol-create-as al cap1 1
run vol-create-as al capq 1 --format qcow2
run vol-create-as al neg -- -1
run vol-create-as al '' 1M
run vol-create-as al . 1M
run vol-create-as al 'a
b' 1M
q v1 "<volume><name>cl</name><capacity unit='MiB'>4</capacity><target><format type='qcow2'/><compat>1.1</compat><clusterSize unit='KiB'>128</clusterSize><features><lazy_refcounts/><extended_l2/></features></target></volume>"
run vol-create al $T/v1.xml
run vol-dumpxml cl al
q v2 "<volume><name>old</name><capacity unit='MiB'>4</capacity><target><format type='qcow2'/><compat>0.10</compat><features><lazy_refcounts/></features></target></volume>"
run vol-create al $T/v2.xml
q v3 "<volume><name>old</name><capacity unit='MB'>4</capacity><target><format type='qcow2'/><compat>0.10</compat></target></volume>"
run vol-create al $T/v3.xml
run vol-dumpxml old al
q v4 "<volume><name>cmp</name><capacity unit='MiB'>4</capacity><target><format type='qcow2'/><compat>zz</compat></target></volume>"
run vol-create al $T/v4.xml
q v5 "<volume><name>nocow</name><capacity unit='MiB'>4</capacity><target><format type='raw'/><nocow/></target></volume>"
run vol-create al $T/v5.xml
run vol-dumpxml nocow al
q v6 "<volume><name>perm</name><capacity unit='KB'>4</capacity><allocation unit='KiB'>1</allocation><target><path>/ignored</path><format type='raw'/><permissions><mode>600</mode><owner>3</owner><group>4</group></permissions></target></volume>"
run vol-create al $T/v6.xml
run vol-dumpxml perm al
show stat -c '%a %u %g %s' $D/al/perm
q v7 "<volume type='file'><name>perm2</name><key>zzz</key><capacity>4096</capacity><source><device path='/x'/></source><target><format type='raw'/><permissions><mode>99</mode></permissions></target></volume>"
run vol-create al $T/v7.xml
q v8 "<volume><name>mnt</name><capacity unit='EiB'>16</capacity></volume>"
run vol-create al $T/v8.xml
q v9 "<volume><name>toobig</name><capacity>99999999999999999999</capacity></volume>"
run vol-create al $T/v9.xml
q v10 "<volume><name>x y</name><capacity> 4096 </capacity></volume>"
run vol-create al $T/v10.xml
q v11 "<volume><name>bkq</name><capacity unit='MiB'>4</capacity><target><format type='qcow2'/></target><backingStore><path>f.raw</path></backingStore></volume>"
run vol-create al $T/v11.xml
q v12 "<volume><name>bkq</name><capacity unit='MiB'>4</capacity><target><format type='qcow2'/></target><backingStore><path>$D/al/f.raw</path><format type='raw'/></backingStore></volume>"
run vol-create al $T/v12.xml
run vol-dumpxml bkq al
q v13 "<volume><name>bkn</name><target><format type='qcow2'/></target><backingStore><path>$D/al/bkq</path><format type='qcow2'/></backingStore></volume>"
run vol-create al $T/v13.xml
run vol-dumpxml bkn al
(cd $D/al; qemu-img create -q -f qcow2 -b bkq -F qcow2 relbk; qemu-img create -q -f qcow2 -b nowhere -F raw -u dangl 1M; qemu-img create -q -f qcow2 -o data_file=df,data_file_raw=on dfq 1M; qemu-img create -q -f qcow2 snap 1M; qemu-img snapshot -c one snap; qemu-img create -q -f qcow2 -b "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"$D/al/f.raw\"}}" -F raw jsonq; qemu-img create -q -f qcow2 -b nbd://h:1/e -F raw -u nbdq 1M; printf 'QFI\373\0\0\0\3' > broken; : > empty; printf 'x' > one; mkdir adir; ln f.raw hard)
run pool-refresh al
run vol-list al
for v in relbk dangl dfq df snap jsonq nbdq broken empty one adir hard; do run vol-dumpxml $v al; run vol-info $v al; done
run vol-name $D/al/hard
run vol-pool $D/al/hard --uuid
run vol-key hard --pool al
run vol-path hard --pool al
run vol-path $D/al/hard
run vol-path hard
run vol-info hard
run vol-info $D/al/hard
run vol-info hard --pool nothing
run vol-list nothing
run pool-info nothing
run pool-name nothing
run pool-uuid nothing
run vol-key nothing al
run vol-clone f.raw cl.raw al --print-xml
run vol-clone f.raw cl.raw al --reflink
run vol-clone f.raw cl.raw2 al --prealloc-metadata
run vol-clone f.qcow2 cl.q al --prealloc-metadata
run vol-clone bkq cl.bkq al
run vol-dumpxml cl.bkq al
run vol-clone f.vmdk cl.vmdk al
run vol-clone f.luks cl.luks al
run vol-create-as al dd 4M --print-xml
run pool-create-as ot dir --target $D/ot --build
q f1 "<volume><name>ff</name><capacity unit='MiB'>8</capacity><target><format type='qcow2'/></target></volume>"
run vol-create-from ot $T/f1.xml f.raw --inputpool al
run vol-dumpxml ff ot
q f2 "<volume><name>ff2</name><capacity unit='MiB'>1</capacity><target><format type='raw'/></target></volume>"
run vol-create-from ot $T/f2.xml f.raw --inputpool al
run vol-info ff2 ot --bytes
run vol-create-from ot $T/f2.xml f.raw --inputpool al
run vol-create-from ot $T/f2.xml nope --inputpool al
run vol-create-from ot $T/f1.xml ff --inputpool ot
run vol-resize ff2 2M ot --delta
run vol-info ff2 ot --bytes
run vol-resize ff2 --capacity -1M ot --delta --shrink
run vol-info ff2 ot --bytes
run vol-resize ff2 --capacity -99M ot --delta --shrink
run vol-resize ff2 --capacity -1M ot
run vol-resize ff2 0 ot --shrink
run vol-resize ff 4M ot --shrink
run vol-resize ff 16M ot --delta
run vol-info ff ot --bytes
run vol-resize f.vmdk 8M al
run vol-resize f.vdi 8M al
run vol-resize adir 8M al
run vol-resize bkq 8M al
head -c 3000 /dev/urandom > $T/up
run vol-upload ff2 $T/up ot
run vol-upload one $T/up al
run vol-info one al --bytes
run vol-upload one $T/up al --offset 10
run vol-info one al --bytes
run vol-upload one $T/missing al
run vol-upload empty $T/up al
run vol-info empty al --bytes
run vol-download ff2 $T/dn ot --offset 5
show stat -c %s $T/dn
run vol-download one $T/dn al --offset 100000
run vol-download one $T/dn al --length 0
show stat -c %s $T/dn
run vol-download one $T/dn al --offset 2 --length 99999999
show stat -c %s $T/dn
run vol-download one /nowhere/x al
run vol-delete one al --delete-snapshots
run vol-delete hard al
run vol-delete adir al
mkdir $D/al/full; : > $D/al/full/x
run pool-refresh al
run vol-delete full al
run vol-wipe cap1 al
run vol-wipe cap0 al
run vol-wipe f.dir al
run vol-wipe f.qcow2 al
run vol-dumpxml f.qcow2 al
for a in zero nnsa dod bsi gutmann schneier pfitzner7 pfitzner33 random trim; do run vol-wipe cap1 al --algorithm $a; done
ro pool-list --all
ro pool-start al
ro pool-destroy al
ro pool-refresh al
ro pool-undefine al
ro pool-build al
ro pool-delete al
ro pool-autostart al
ro pool-define $T/a.xml
ro pool-create $T/a.xml
ro find-storage-pool-sources netfs
ro pool-dumpxml al --inactive
ro vol-list al
ro vol-info cap al
ro vol-dumpxml cap al
ro vol-delete cap al
ro vol-create-as al ro 1M
ro vol-clone cap ro al
ro vol-resize cap 1M al
ro vol-wipe cap al
ro vol-wipe cap al --algorithm nnsa
ro vol-upload cap $T/up al
ro vol-download cap $T/dn al
ro pool-capabilities
ro uri
ro hostname
run hostname
run pool-event --list
run pool-event --pool al --event refreshx --timeout 1
run pool-event --event lifecycle --timeout 1
EDITOR="sed -i s/other/other2/" run pool-edit al
run pool-dumpxml al --inactive
EDITOR="true" run pool-edit al
run pool-undefine al
run pool-destroy al
run pool-dumpxml al
run pool-start al
run pool-undefine al
run pool-destroy ot
rm -rf $D/*
run pool-list --all
